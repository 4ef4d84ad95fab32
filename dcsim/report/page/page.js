"use strict"
const page = JSON.parse(document.getElementById("plots").textContent)
const roots = Object.fromEntries(Object.entries(page.roots).map(([id, place]) => [id, document.getElementById(place)]))
const dark = matchMedia("(prefers-color-scheme: dark)")
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

// Colours of text, axes and grids follow the reader's setting; what is tagged "ink" is drawn in that of text.
function paint() {
  const ink = colour("--ink"), muted = colour("--muted"), line = colour("--line"), grid = colour("--grid"), card = colour("--card")
  const has = (model, name) => name in model.properties
  const set = (model, values) => model.setv(Object.fromEntries(Object.entries(values).filter(([name]) => has(model, name))))
  for (const document_ of Bokeh.documents)
    for (const model of document_.all_models) {
      if (model.type.endsWith("Axis"))
        set(model, {axis_label_text_color: muted, major_label_text_color: muted, group_text_color: muted, axis_line_color: line, major_tick_line_color: line})
      else if (model.type == "Grid") set(model, {grid_line_color: grid})
      if (model.tags.includes("ink")) set(model, {line_color: ink, fill_color: ink, text_color: ink})
      if (model.tags.includes("backed")) set(model, {background_fill_color: card})
    }
}

// As many ticks as there is room for; on paper, plots are as wide as on the screen, and made smaller:
// text is as large as it takes to be read there.
const TICK_PX = 92, PAPER_PX = 980, TEXT_PX = 12, TEXT_PX_MAX = 15, PAPER_TEXT_PX = 10.7
function enlarge(width) {
  const px = `${Math.min(TEXT_PX_MAX, Math.max(TEXT_PX, Math.ceil(PAPER_TEXT_PX * width / PAPER_PX)))}px`
  const sizes = ["major_label_text_font_size", "axis_label_text_font_size", "text_font_size"]
  for (const model of Bokeh.documents[0].all_models)
    for (const name of sizes) {
      const size = name in model.properties ? model[name] : null
      if (size?.value ?? size) model.setv({[name]: px})
    }
}

function fit() {
  const width = document.querySelector(".card").clientWidth - 36
  document.documentElement.style.setProperty("--plot-px", `${width}px`)
  document.documentElement.style.setProperty("--paper", Math.min(1, PAPER_PX / width))
  enlarge(width)
  for (const [id, place] of Object.entries(roots)) {
    const plot = Bokeh.documents[0].get_model_by_id(id)
    const ticks = Math.max(2, Math.min(8, Math.floor(place.clientWidth / TICK_PX)))
    for (const axis of plot.below) {
      const ticker = axis.ticker
      if (ticker && "desired_num_ticks" in ticker.properties) ticker.desired_num_ticks = ticks
      for (const one of ticker?.tickers ?? []) one.desired_num_ticks = ticks
    }
  }
}

function sort(head) {
  const table = head.closest("table"), column = [...head.parentNode.children].indexOf(head)
  const up = head.getAttribute("aria-sort") != "ascending"
  const key = row => {
    const cell = row.children[column]
    return "v" in cell.dataset ? (cell.dataset.v === "" ? -Infinity : Number(cell.dataset.v)) : cell.textContent
  }
  const order = (a, b) => typeof a == "number" ? a - b : a.localeCompare(b)
  const rows = [...table.tBodies[0].rows].sort((a, b) => (up ? 1 : -1) * order(key(a), key(b)))
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort")
  head.setAttribute("aria-sort", up ? "ascending" : "descending")
  table.tBodies[0].append(...rows)
}

function copy(button) {
  const rows = [...button.closest("details").querySelectorAll("tr")]
  const text = rows.map(row => [...row.cells].map(cell => cell.textContent.replace(/\s+/g, " ")).join("\t")).join("\n")
  const area = Object.assign(document.createElement("textarea"), {value: text})
  document.body.append(area)
  area.select()
  document.execCommand("copy")
  area.remove()
  button.textContent = "Copied"
  setTimeout(() => button.textContent = "Copy table", 1500)
}

document.addEventListener("click", event => {
  const head = event.target.closest("th"), button = event.target.closest("button.copy")
  if (head) sort(head)
  if (button) copy(button)
})

// A finger scrolls the page; it does not zoom plots.
function free_touch() {
  for (const document_ of Bokeh.documents)
    for (const model of document_.all_models)
      if (model.type == "BoxZoomTool") model.active = false
}

document.documentElement.dataset.drawn = "no"
Bokeh.set_log_level("error")
Bokeh.embed.embed_items(page.docs, [{docid: "page", roots: roots, root_ids: Object.keys(roots)}]).then(() => {
  floor()
  paint()
  fit()
  addEventListener("resize", fit)
  dark.addEventListener("change", paint)
  addEventListener("beforeprint", paint)
  addEventListener("afterprint", paint)
  if (matchMedia("(pointer: coarse)").matches) free_touch()
  document.documentElement.dataset.drawn = "yes"
})

// The floor: a slider over frames of one byte a rack, and what they show.
function floor() {
  const controls = document.getElementById("floor-controls")
  if (!controls) return
  const frames = JSON.parse(document.getElementById("floor-frames").textContent)
  const bytes = key => Uint8Array.from(atob(frames[key].data), c => c.charCodeAt(0))
  const levels = {temp: bytes("temp"), power: bytes("power"), failures: bytes("failures")}
  const names = key => frames[key].codes.map(code => frames[key].names[code])
  const units = names("unit"), pdus = names("pdu")
  const [data, colours] = ["floor", "floor-colours"].map(name => Bokeh.documents[0].get_model_by_name(name))
  const slider = controls.querySelector("input[type=range]"), output = controls.querySelector("output")
  const play = controls.querySelector(".play"), scale = document.getElementById("floor-scale")
  const cells = data.get_length()
  const prefixes = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]]
  const text = (key, value) => {
    if (value === null) return "not recorded"
    if (key == "temp") return `${value.toFixed(1)} °C`
    if (key == "failures") return String(Math.round(value))
    const [by, prefix] = prefixes.find(([by]) => value >= by) ?? [1, ""]
    return `${+(value / by).toPrecision(3)} ${prefix}W`
  }
  const clock = ns => {
    const s = Math.round(ns / 1e9), two = n => String(n).padStart(2, "0"), d = Math.floor(s / 86400)
    const hm = `${two(Math.floor(s % 86400 / 3600))}:${two(Math.floor(s % 3600 / 60))}`
    return d ? `${d} d ${hm}` : `${hm}:${two(s % 60)}`
  }
  function show() {
    const frame = Number(slider.value), shown = controls.querySelector("input[type=radio]:checked").value
    const at = key => Array.from(levels[key].subarray(frame * cells, (frame + 1) * cells),
      level => level == 255 ? null : frames[key].low + frames[key].step * level)
    const now = {temp: at("temp"), power: at("power"), failures: at("failures")}
    const {low, high} = frames[shown]
    colours.setv({low: low, high: Math.max(high, low + 1e-6)})
    data.data = {
      ...data.data, value: now[shown].map(value => value === null ? low - 1 : value),
      temp: now.temp.map(value => text("temp", value)), power: now.power.map(value => text("power", value)),
      failures: now.failures.map(value => text("failures", value)), unit: units, pdu: pdus,
    }
    output.textContent = `${clock(frame * frames.length_ns)} to ${clock((frame + 1) * frames.length_ns)}`
    const ends = scale.querySelectorAll("span")
    ends[0].textContent = text(shown, low)
    ends[1].textContent = text(shown, high)
    const palette = colours.palette, hex = n => typeof n == "number" ? "#" + (n >>> 8).toString(16).padStart(6, "0") : n
    const stops = [0, .25, .5, .75, 1].map(part => hex(palette[Math.round(part * (palette.length - 1))]))
    scale.querySelector("i").style.background = `linear-gradient(to right, ${stops.join(",")})`
  }
  let timer = 0
  play.addEventListener("click", () => {
    if (timer) { clearInterval(timer); timer = 0; play.textContent = "Play"; return }
    play.textContent = "Stop"
    timer = setInterval(() => {
      slider.value = (Number(slider.value) + 1) % (Number(slider.max) + 1)
      show()
    }, 250)
  })
  controls.addEventListener("input", show)
  show()
}

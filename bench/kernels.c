/* The two kernels of dcsim/physics/gpu.py, statement for statement, as a C compiler likes them.
 *
 * It is the yardstick of bench/run.py: same algebra, float32, same loops over cooling units and
 * racks, same sums. Threads come from OpenMP.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    float static_w, cap_w, limit_c, package_j_per_k, plate_j_per_k, package_plate_k_per_w;
    float leak_fold_per_k, control_s, floor_power_frac, shutdown_c;
} Law;

typedef struct {
    float *temp, *plate, *conductance, *leak, *dynamic, *load, *on, *ceiling, *clock, *power;
} Gpu;

typedef struct {
    int64_t groups;
    const int64_t *first_rack, *first_gpu;
    const float *inlet_c, *inlet_k_per_s;
    const float *plate_w_per_k;
} Coolant;

typedef struct {
    double *power_w, *heat_w, *package_c_max, *rise_k_per_s_max, *heat_j;
} Sums;

static inline float lower(float a, float b) { return a < b ? a : b; }
static inline float higher(float a, float b) { return a > b ? a : b; }

static inline float exponential(float x) {
    float z = x * 1.4426950408889634f;
    float n = (z + 12582912.0f) - 12582912.0f;
    float r = (z - n) * 0.6931471805599453f;
    float r2 = r * r;
    float low = (1.0f + r) + r2 * (0.5f + r * (1.0f / 6));
    float high = (1.0f / 24 + r * (1.0f / 120)) + r2 * (1.0f / 720 + r * (1.0f / 5040));
    float p = low + (r2 * r2) * high;
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline float power_2_5ths(float x) {
    float root = sqrtf(x);
    float high = 1.79184146f + root * (-1.33796922f + root * 0.40344325f);
    float y = 0.02333525f + root * 1.47233649f + x * (-1.35324660f + root * high);
    float y2 = y * y, y4 = y2 * y2;
    return y - (y4 * y - x * x) / (5.0f * y4);
}

static double total(const float *column, int64_t n) {
    float acc = 0;
#pragma omp simd reduction(+ : acc)
    for (int64_t i = 0; i < n; i++) acc += column[i];
    return acc;
}

static double largest(const float *column, int64_t n) {
    float most = column[0];
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < n; i++) most = column[i] > most ? column[i] : most;
    return most;
}

static void lowest_of_8(const float *column, float *lowest, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const float *c = column + 8 * i;
        lowest[i] = lower(lower(lower(c[0], c[1]), lower(c[2], c[3])),
                          lower(lower(c[4], c[5]), lower(c[6], c[7])));
    }
}

static void mean_of_8(const float *column, float *mean, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const float *c = column + 8 * i;
        float low = (c[0] + c[1]) + (c[2] + c[3]), high = (c[4] + c[5]) + (c[6] + c[7]);
        mean[i] = (low + high) * 0.125f;
    }
}

static void evaluate_slice(int64_t n, const float *restrict temp, const float *restrict plate,
                           const float *restrict leak, const float *restrict dynamic,
                           const float *restrict load, const float *restrict on,
                           const float *restrict ceiling,
                           const float *restrict conductance, float *restrict clock,
                           float *restrict power, float *restrict heat, float *restrict rise,
                           Law law, float inlet_c, float film) {
    float through = 1.0f / law.package_plate_k_per_w;
    float control = law.package_j_per_k / law.control_s;
    float per_package = 1.0f / law.package_j_per_k;
    float per_plate = 1.0f / law.plate_j_per_k;
    for (int64_t i = 0; i < n; i++) {
        float leaking = leak[i] * exponential((temp[i] - 60.0f) * law.leak_fold_per_k);
        float full = higher(dynamic[i] * load[i], 1e-3f);
        float room = law.limit_c - temp[i];
        float allowed = (law.limit_c - plate[i]) * through + control * room;
        float held = law.static_w + leaking;
        float most = lower((law.cap_w - held) * load[i], allowed - held);
        float active = higher(lower(full * ceiling[i], most), full * law.floor_power_frac);
        clock[i] = power_2_5ths(active / full);
        float drawn = lower(active, dynamic[i] * load[i] * ceiling[i]);
        power[i] = on[i] * (held + drawn);
        float flow = (temp[i] - plate[i]) * through;
        heat[i] = (plate[i] - inlet_c) * conductance[i] * film;
        rise[i] = higher((power[i] - flow) * per_package, (flow - heat[i]) * per_plate);
    }
}

static inline void phis(float z, float *p1, float *p2, float *p3) {
    int series = fabsf(z) < 1.0f;
    float near = series ? z : 0.0f, far = series ? -1.0f : z;
    float s = 1.0f / 40320 + near * (1.0f / 362880 + near * (1.0f / 3628800));
    s = 1.0f / 720 + near * (1.0f / 5040 + near * s);
    float s3 = 1.0f / 6 + near * (1.0f / 24 + near * (1.0f / 120 + near * s));
    float s2 = 0.5f + near * s3, s1 = 1.0f + near * s2;
    float per_far = 1.0f / far;
    float e1 = (exponential(higher(far, -80.0f)) - 1.0f) * per_far;
    float e2 = (e1 - 1.0f) * per_far, e3 = (e2 - 0.5f) * per_far;
    *p1 = series ? s1 : e1;
    *p2 = series ? s2 : e2;
    *p3 = series ? s3 : e3;
}

static void advance_slice(int64_t n, float *restrict temp, float *restrict plate,
                          const float *restrict leak, const float *restrict dynamic,
                          const float *restrict load, const float *restrict on,
                          const float *restrict ceiling,
                          const float *restrict conductance, const float *restrict power,
                          float *restrict energy, float *restrict heat, Law law, float inlet_c,
                          float inlet_k_per_s, float film, float dt_s) {
    float settled = (float)-expm1(-dt_s * film / (law.package_j_per_k + law.plate_j_per_k));
    float end_c = inlet_c + inlet_k_per_s * dt_s, fold = settled * law.leak_fold_per_k;
    float first = 1.0f / 3 + settled * (1.0f / 6), second = 1.0f / 12 + settled * (1.0f / 12);
    float through = 1.0f / law.package_plate_k_per_w;
    float control = law.package_j_per_k / law.control_s;
    float per_package = 1.0f / law.package_j_per_k;
    float per_plate = 1.0f / law.plate_j_per_k;
    for (int64_t i = 0; i < n; i++) {
        float T = temp[i], Tc = plate[i];
        float leaking = leak[i] * exponential((T - 60.0f) * law.leak_fold_per_k);
        float out = conductance[i] * film;
        float rest_c = end_c + power[i] * (law.package_plate_k_per_w + 1.0f / out);
        float x = lower(higher((rest_c - T) * fold, -1.0f), 1.0f);
        float steeper = 1.0f + x * (first + x * second);
        float full = dynamic[i] * load[i];
        float base = law.static_w + leaking;
        float allowed = (law.limit_c - Tc) * through + control * (law.limit_c - T);
        float floor_w = base + full * law.floor_power_frac;
        float free_w = base + full * ceiling[i];
        float cap = base + (law.cap_w - base) * load[i];
        int throttled = (allowed < lower(cap, free_w)) & (allowed > floor_w) & (on[i] > 0.5f);
        int capped = (cap < lower(allowed, free_w)) & (cap > floor_w);
        float g = on[i] * leaking * law.leak_fold_per_k * steeper;
        g = capped ? g * (1.0f - load[i]) : g;
        g = throttled ? -control : g;
        float h = throttled ? -through : 0.0f;
        float p0 = power[i] - g * T - h * Tc;
        float a11 = (g - through) * per_package;
        float a12 = (through + h) * per_package;
        float a21 = through * per_plate;
        float a22 = -(through + out) * per_plate;
        float flow = (T - Tc) * through;
        float c1 = (p0 + g * T + h * Tc - flow) * per_package;
        float c2 = (flow - (Tc - inlet_c) * out) * per_plate;
        float r2 = inlet_k_per_s * out * per_plate * dt_s;
        float mean = 0.5f * (a11 + a22), gap = 0.5f * (a11 - a22);
        float split = higher(sqrtf(gap * gap + a12 * a21), 1e-3f);
        float slow1, slow2, slow3, fast1, fast2, fast3;
        phis((mean + split) * dt_s, &slow1, &slow2, &slow3);
        phis((mean - split) * dt_s, &fast1, &fast2, &fast3);
        float per_split = 0.5f / split;
        float even1 = 0.5f * (slow1 + fast1), odd1 = (slow1 - fast1) * per_split;
        float even2 = 0.5f * (slow2 + fast2), odd2 = (slow2 - fast2) * per_split;
        float even3 = 0.5f * (slow3 + fast3), odd3 = (slow3 - fast3) * per_split;
        float m1 = gap * c1 + a12 * c2, m2 = a21 * c1 - gap * c2;
        float rise1 = even1 * c1 + odd1 * m1 + odd2 * a12 * r2;
        float rise2 = even1 * c2 + odd1 * m2 + (even2 - odd2 * gap) * r2;
        float area1 = even2 * c1 + odd2 * m1 + odd3 * a12 * r2;
        float area2 = even2 * c2 + odd2 * m2 + (even3 - odd3 * gap) * r2;
        float sum1 = (T + area1 * dt_s) * dt_s, sum2 = (Tc + area2 * dt_s) * dt_s;
        energy[i] = p0 * dt_s + g * sum1 + h * sum2;
        heat[i] = (sum2 - (inlet_c + 0.5f * inlet_k_per_s * dt_s) * dt_s) * out;
        temp[i] = T + rise1 * dt_s;
        plate[i] = Tc + rise2 * dt_s;
    }
}

void evaluate_groups(const Gpu *g, const Law *law, const Coolant *c, Sums *sums, double *rack_w,
                     float *node_clock, float *node_mean_clock, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < c->groups; k++) {
        int64_t lo = c->first_gpu[c->first_rack[k]], n = c->first_gpu[c->first_rack[k + 1]] - lo;
        float *work = malloc(2 * n * sizeof *work);
        float *heat = work, *rise = work + n;
        evaluate_slice(n, g->temp + lo, g->plate + lo, g->leak + lo, g->dynamic + lo, g->load + lo,
                       g->on + lo, g->ceiling + lo, g->conductance + lo, g->clock + lo,
                       g->power + lo, heat, rise, *law, c->inlet_c[k],
                       c->plate_w_per_k[k]);
        sums->heat_w[k] = total(heat, n);
        sums->rise_k_per_s_max[k] = largest(rise, n);
        sums->package_c_max[k] = largest(g->temp + lo, n);
        lowest_of_8(g->clock + lo, node_clock + lo / 8, n / 8);
        mean_of_8(g->clock + lo, node_mean_clock + lo / 8, n / 8);
        sums->power_w[k] = 0;
        for (int64_t r = c->first_rack[k]; r < c->first_rack[k + 1]; r++) {
            rack_w[r] = total(g->power + c->first_gpu[r], c->first_gpu[r + 1] - c->first_gpu[r]);
            sums->power_w[k] += rack_w[r];
        }
        free(work);
    }
}

void advance_groups(const Gpu *g, const Law *law, const Coolant *c, Sums *sums, double *rack_j,
                    float dt_s, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < c->groups; k++) {
        int64_t lo = c->first_gpu[c->first_rack[k]], n = c->first_gpu[c->first_rack[k + 1]] - lo;
        float *work = malloc(2 * n * sizeof *work);
        float *energy = work, *heat = work + n;
        advance_slice(n, g->temp + lo, g->plate + lo, g->leak + lo, g->dynamic + lo, g->load + lo,
                      g->on + lo, g->ceiling + lo, g->conductance + lo, g->power + lo, energy,
                      heat, *law, c->inlet_c[k], c->inlet_k_per_s[k], c->plate_w_per_k[k], dt_s);
        sums->heat_j[k] = total(heat, n);
        for (int64_t r = c->first_rack[k]; r < c->first_rack[k + 1]; r++)
            rack_j[r] = total(energy + c->first_gpu[r] - lo,
                               c->first_gpu[r + 1] - c->first_gpu[r]);
        free(work);
    }
}

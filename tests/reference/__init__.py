"""Independent answers that tests compare dcsim with; nothing here imports dcsim."""

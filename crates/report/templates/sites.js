// Sites of a movie: rings coloured by what is known of each, thick ones around those that just switched.
kinds.sites = (view) => {
  const FILLED = "#56b4e9", EMPTY = "#f0c000", LOSS = "#ff5a1f", GAIN = "#2fe07a";
  const { data, part } = view;
  const [colour, least] = ["colour", "least"].map(part);
  let losses = new Map();
  let gains = new Map();
  const mode = () => (colour ? colour.value : "occupancy");
  const colourOf = (i) => {
    if (mode() === "state") {
      const filled = view.frame.filled[i];
      return filled === null || filled === undefined ? "#bbbbbb" : view.between(EMPTY, FILLED, filled / 100);
    }
    if (mode() === "occupancy") return view.mapped(data.occupancy[i] ?? 0);
    return view.mapped((data.rate[i] ?? 0) / data.rateRange.high);
  };
  const sure = (percent) => percent >= 100 * Number(least.value);
  view.x = (i) => (view.frame.places ? view.frame.places[0][i] : data.x[i]);
  view.y = (i) => (view.frame.places ? view.frame.places[1][i] : data.y[i]);
  return {
    count: () => data.x.length,
    shown: () => true,
    turn() {
      losses = new Map(view.frame.losses);
      gains = new Map(view.frame.gains);
    },
    circles: (i) => {
      const rings = [
        { i, radius: data.radius, stroke: "#000", width: 4.0, opacity: 0.5 },
        { i, radius: data.radius, stroke: colourOf(i), width: 2.4 },
      ];
      for (const [switches, stroke] of [[losses, LOSS], [gains, GAIN]]) {
        const percent = switches.get(i);
        if (percent === undefined || !sure(percent)) continue;
        rings.push({ i, radius: 1.3 * data.radius, stroke: "#000", width: 7, opacity: 0.5 });
        rings.push({ i, radius: 1.3 * data.radius, stroke, width: 5, opacity: 0.3 + 0.007 * percent });
      }
      return rings;
    },
    explain(shown, drawn) {
      const count = data.x.length;
      if (!drawn || count === 0) return;
      const ring = (name, borderColor) => view.entry(name, "circle", { borderColor });
      if (mode() === "state") {
        ring("filled", FILLED);
        ring("empty", EMPTY);
      } else if (mode() === "occupancy") {
        view.ramp("Occupancy", "0", "100 %");
      } else {
        view.ramp("Switches " + data.unit, "0", data.rateRange.highLabel);
      }
      if (view.frame.filled.length) {
        ring("emptied: " + [...losses.values()].filter(sure).length, LOSS);
        ring("filled again: " + [...gains.values()].filter(sure).length, GAIN);
        const filled = view.frame.filled.filter((p) => p !== null && p >= 50).length;
        view.add("span", "count", filled + " of " + count + " sites filled");
      }
    },
    tell: (i) => {
      const lines = ["site " + i + ", " + (data.classes[data.class[i]] ?? "class " + data.class[i])];
      if (view.frame.filled.length) {
        const filled = view.frame.filled[i];
        lines.push("filled in this frame: " + (filled === null ? "–" : filled + " %"));
        if (losses.has(i)) lines.push("emptied: " + losses.get(i) + " %");
        if (gains.has(i)) lines.push("filled again: " + gains.get(i) + " %");
      }
      return [...lines, "occupancy " + data.occupancyLabel[i], "switches " + data.unit + " " + data.rateLabel[i]];
    },
  };
};

// Columns of a crystal by species, and what is not as it should be: the first places are columns, the others defects.
kinds.species = (view) => {
  const { data, part, fixed } = view;
  const [least, defects, lines] = ["least", "defects", "lines"].map(part);
  const columns = data.x.length;
  const { sites } = data;
  const at = (v) => v + data.half;
  const points = (line) => line.map(([x, y]) => at(x) + "," + at(y)).join(" ");
  const stroked = (line, stroke, width, dashed) => {
    const both = [["#000", width + 2.5, false], [stroke, width, dashed]];
    return both.map(([stroke, width, dashed]) => view.shape("polyline", {
      points: points(line), stroke, "stroke-width": width, "stroke-linecap": dashed ? "butt" : "round", "stroke-linejoin": "round",
      ...(dashed ? { "stroke-dasharray": "9 6" } : {}),
    }));
  };
  // Outlines about the origin, in units of the mark's radius.
  const corners = (count, turn, radius) => Array.from({ length: count + 1 }, (_, k) => {
    const angle = 2 * Math.PI * (turn + k / count);
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
  const outlines = {
    metal: [corners(4, 0.125, 1.25)], substitution: [corners(4, 0, 1.3)], antisite: [corners(3, -0.25, 1.35)],
    other: [corners(6, 0, 1.1)], partial: [corners(40, 0, 1)],
    empty: [corners(40, 0, 0.75)],
  };
  view.x = (i) => (i < columns ? data.x[i] : sites[i - columns].x);
  view.y = (i) => (i < columns ? data.y[i] : sites[i - columns].y);
  const probability = (i) => (data.probability[i] ?? 1) * (data.certainty[i] ?? 1);
  return {
    count: () => columns + (defects?.checked ? sites.length : 0),
    shown: (i) => i >= columns || (probability(i) >= Number(least.value) - 1e-9),
    circles: (i) => {
      if (i >= columns) return [];
      const kind = data.species[data.kind[i]];
      const opacity = data.opacities[data.sureness.filter((sure) => probability(i) < sure).length];
      return [
        { i, radius: 1.16 * kind.radius, fill: "#fff", opacity: 0.55 * opacity },
        { i, radius: 1.08 * kind.radius, fill: "#000", opacity: 0.7 * opacity },
        { i, radius: kind.radius, fill: kind.colour, opacity },
      ];
    },
    under: () => (lines?.checked ? [
      ...data.rings.map((ring) => view.shape("polygon", {
        points: points(ring.line), fill: ring.colour, "fill-opacity": 0.45, stroke: ring.colour, "stroke-width": 2,
      })),
      ...data.lines.flatMap((l) => stroked(l.line, l.colour, l.width, l.dashed)),
    ] : []),
    over: () => (defects?.checked ? sites : []).flatMap((site) => outlines[site.mark].flatMap((outline) =>
      stroked(outline.map(([x, y]) => [site.x + x * data.mark, site.y + y * data.mark]), site.colour, 2.4, false))),
    explain(shown, drawn) {
      const seen = shown.filter((i) => i < columns);
      if (drawn) {
        data.species.forEach((kind, index) => {
          const count = seen.filter((i) => data.kind[i] === index).length;
          if (count) view.entry(kind.name + " " + count, "dot", { background: kind.colour });
        });
      }
      if (defects?.checked) for (const name of [...new Set(sites.map((site) => site.name))]) {
        const site = sites.find((site) => site.name === name);
        const count = sites.filter((site) => site.name === name).length;
        const pen = [["#000", 4], [site.colour, 2]];
        view.symbol(name + " " + count, outlines[site.mark].flatMap((outline) => pen.map(([stroke, width]) =>
          view.shape("polyline", { points: outline.map((p) => p.join(",")).join(" "), "stroke-width": width, stroke }))));
      }
      if (lines?.checked) for (const { name, colour, dashed } of data.lineNames) {
        view.entry(name, "stroke", { borderTop: "4px " + (dashed ? "dashed " : "solid ") + colour });
      }
      view.add("span", "count", seen.length + " of " + columns + " columns shown");
    },
    tell: (i) => {
      const place = "x " + fixed(view.x(i), 4) + " nm, y " + fixed(view.y(i), 4) + " nm";
      if (i >= columns) {
        const site = sites[i - columns];
        const sure = site.p === null ? [] : ["probability " + fixed(site.p, 2)];
        return [site.name, ...sure, ...(site.note ? [site.note] : []), place];
      }
      return [
        data.species[data.kind[i]].name + ", probability of the species " + fixed(data.certainty[i], 3),
        "probability of a column " + fixed(data.probability[i], 3),
        "position σ " + fixed(data.sigma[i], 1) + " pm",
        place,
      ];
    },
  };
};

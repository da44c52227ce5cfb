// Columns of a micrograph: rings coloured by a quantity.
kinds.columns = (view) => {
  const { data, part, fixed } = view;
  const [colour, least] = ["colour", "least"].map(part);
  const colourOf = (i) => {
    if (colour.value === "species") return data.speciesColours[view.frame.species[i] % data.speciesColours.length];
    const range = data.ranges[colour.value];
    return view.mapped(((view.frame[colour.value][i] ?? range.low) - range.low) / (range.high - range.low));
  };
  const name = (index) => data.species[index] ?? "species " + index;
  view.x = (i) => view.frame.x[i];
  view.y = (i) => view.frame.y[i];
  return {
    count: () => view.frame.x.length,
    shown: (i) => view.frame.probability[i] === null || view.frame.probability[i] >= Number(least.value) - 1e-9,
    circles: (i) => [
      { i, radius: data.radius, stroke: "#000", width: 4.2, opacity: 0.55 },
      { i, radius: data.radius, stroke: colourOf(i), width: 2.6 },
    ],
    explain(shown, drawn) {
      const count = view.frame.x.length;
      if (drawn && count > 0 && colour.value === "species") {
        for (const index of [...new Set(view.frame.species)].sort((a, b) => a - b)) {
          view.entry(name(index), "dot", { background: data.speciesColours[index % data.speciesColours.length] });
        }
      } else if (drawn && count > 0) {
        const range = data.ranges[colour.value];
        view.ramp(colour.selectedOptions[0].textContent, range.lowLabel, range.highLabel);
      }
      view.add("span", "count",
        count === 0 ? "no columns in this frame" : shown.length + " of " + count + " columns shown");
    },
    tell: (i) => {
      const frame = view.frame;
      return [
        "x " + fixed(frame.x[i], 4) + " nm, y " + fixed(frame.y[i], 4) + " nm",
        "probability " + fixed(frame.probability[i], 3),
        "position σ " + fixed(frame.sigma[i], 1) + " pm",
        name(frame.species[i]) + " (" + fixed(frame.certainty[i], 2) + "), " +
          fixed(frame.atoms[i], 1) + " ± " + fixed(frame.spread[i], 1) + " atoms",
      ];
    },
  };
};

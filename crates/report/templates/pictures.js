// Pictures without marks, each with its own colour bar.
kinds.pictures = (view) => {
  view.x = view.y = () => null;
  return {
    shown: () => false,
    explain() {
      const bar = view.frame.bar;
      if (bar) view.ramp(bar.name, bar.low, bar.high, bar.colours);
    },
  };
};

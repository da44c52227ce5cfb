"use strict";
(() => {
  // Above this many columns circles are painted on a canvas, which a browser does quickly for any number.
  const MOST_CIRCLES = 4000;
  const SVG = document.createElementNS.bind(document, document.querySelector(".viewer svg")?.namespaceURI);

  const between = (a, b, t) => {
    const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
    return "rgb(" + [0, 1, 2].map((i) => Math.round(part(a, i) + (part(b, i) - part(a, i)) * t)).join(",") + ")";
  };
  const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));

  function start(root) {
    const part = (role) => root.querySelector("[data-role='" + role + "']");
    const data = JSON.parse(part("data").textContent);
    const [image, svg, canvas, stage, tip, key] =
      ["image", "marks", "canvas", "stage", "tip", "key"].map(part);
    const [show, colour, least, opacity, zoom, slider] =
      ["show", "colour", "least", "opacity", "zoom", "frame"].map(part);
    data.frames[0].png = image.src;
    let frame = data.frames[0];
    let drawn = { radius: 0 };

    const value = (i) => frame[colour.value][i];
    const mapped = (fraction) => {
      const place = Math.min(Math.max(fraction, 0), 1) * (data.ramp.length - 1);
      const below = Math.min(Math.floor(place), data.ramp.length - 2);
      return between(data.ramp[below], data.ramp[below + 1], place - below);
    };
    const colourOf = (i) => {
      if (colour.value === "species") return data.speciesColours[frame.species[i] % data.speciesColours.length];
      const range = data.ranges[colour.value];
      return mapped(((value(i) ?? range.low) - range.low) / (range.high - range.low));
    };
    const shown = (i) => frame.probability[i] === null || frame.probability[i] >= Number(least.value) - 1e-9;

    function paint() {
      const count = frame.x.length;
      const visible = [];
      for (let i = 0; i < count; i++) if (shown(i)) visible.push(i);
      const many = count > MOST_CIRCLES;
      svg.replaceChildren();
      svg.toggleAttribute("hidden", many || !show.checked);
      canvas.toggleAttribute("hidden", !many || !show.checked);
      svg.style.opacity = canvas.style.opacity = opacity.value;
      const radius = data.radius;
      drawn.radius = radius;
      if (show.checked && !many) {
        const fragment = document.createDocumentFragment();
        for (const i of visible) {
          for (const [stroke, width] of [["#000", 4.2], [colourOf(i), 2.6]]) {
            const circle = SVG("circle");
            circle.setAttribute("cx", frame.x[i] + data.half);
            circle.setAttribute("cy", frame.y[i] + data.half);
            circle.setAttribute("r", radius);
            circle.setAttribute("fill", "none");
            circle.setAttribute("stroke", stroke);
            circle.setAttribute("stroke-width", width);
            circle.setAttribute("vector-effect", "non-scaling-stroke");
            if (stroke === "#000") circle.setAttribute("stroke-opacity", "0.55");
            fragment.append(circle);
          }
        }
        svg.append(fragment);
      }
      if (show.checked && many) {
        const dots = Math.min(window.devicePixelRatio || 1, 4096 / Math.max(stage.clientWidth, stage.clientHeight, 1));
        canvas.width = Math.max(Math.round(stage.clientWidth * dots), 1);
        canvas.height = Math.max(Math.round(stage.clientHeight * dots), 1);
        const scale = canvas.width / data.width;
        const pen = canvas.getContext("2d");
        pen.lineWidth = Math.max(Math.min(2 * dots, 0.35 * radius * scale), 1);
        for (const i of visible) {
          pen.strokeStyle = colourOf(i);
          pen.beginPath();
          pen.arc((frame.x[i] + data.half) * scale, (frame.y[i] + data.half) * scale, Math.max(radius * scale, 1), 0, 7);
          pen.stroke();
        }
      }
      explain(visible.length, count);
    }

    function explain(visible, count) {
      key.replaceChildren();
      const add = (tag, className, text) => {
        const element = document.createElement(tag);
        if (className) element.className = className;
        if (text !== undefined) element.textContent = text;
        key.append(element);
        return element;
      };
      if (show.checked && count > 0) {
        if (colour.value === "species") {
          for (const index of [...new Set(frame.species)].sort((a, b) => a - b)) {
            const entry = add("span");
            const dot = document.createElement("span");
            dot.className = "dot";
            dot.style.background = data.speciesColours[index % data.speciesColours.length];
            entry.append(dot, data.species[index] ?? "species " + index);
          }
        } else {
          const range = data.ranges[colour.value];
          const entry = add("span");
          const ramp = document.createElement("span");
          ramp.className = "ramp";
          ramp.style.background = "linear-gradient(to right," + data.ramp.join(",") + ")";
          const name = colour.selectedOptions[0].textContent;
          entry.append(name + " " + range.lowLabel, ramp, range.highLabel);
        }
      }
      const text = count === 0 ? "no columns in this frame" : visible + " of " + count + " columns shown";
      add("span", "count", text);
    }

    function turn() {
      frame = data.frames[slider ? Number(slider.value) : 0];
      image.src = frame.png;
      image.alt = frame.alt;
      if (slider) part("frame-value").textContent = frame.label;
      tip.hidden = true;
      paint();
    }

    stage.addEventListener("mousemove", (event) => {
      const box = stage.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * data.width - data.half;
      const y = ((event.clientY - box.top) / box.height) * data.height - data.half;
      let best = -1;
      let distance = Math.max(1.5 * drawn.radius, (6 / box.width) * data.width) ** 2;
      for (let i = 0; i < frame.x.length && show.checked; i++) {
        const squared = (frame.x[i] - x) ** 2 + (frame.y[i] - y) ** 2;
        if (squared < distance && shown(i)) { best = i; distance = squared; }
      }
      tip.hidden = best < 0;
      if (best < 0) return;
      const name = data.species[frame.species[best]] ?? "species " + frame.species[best];
      const lines = [
        "x " + fixed(frame.x[best], 4) + " nm, y " + fixed(frame.y[best], 4) + " nm",
        "probability " + fixed(frame.probability[best], 3),
        "position σ " + fixed(frame.sigma[best], 1) + " pm",
        name + " (" + fixed(frame.certainty[best], 2) + "), " +
          fixed(frame.atoms[best], 1) + " ± " + fixed(frame.spread[best], 1) + " atoms",
      ];
      tip.replaceChildren(...lines.flatMap((line, i) => (i ? [document.createElement("br"), line] : [line])));
      const left = ((frame.x[best] + data.half) / data.width) * box.width;
      const top = ((frame.y[best] + data.half) / data.height) * box.height;
      const flip = left + tip.offsetWidth + 24 > box.width;
      tip.style.left = (flip ? Math.max(left - tip.offsetWidth - 14, 0) : left + 14) + "px";
      tip.style.top = Math.min(Math.max(top - 20, 0), Math.max(box.height - tip.offsetHeight, 0)) + "px";
    });
    stage.addEventListener("mouseleave", () => { tip.hidden = true; });

    const written = { least: 2, opacity: 2 };
    for (const input of [show, colour, least, opacity]) {
      input.addEventListener("input", () => {
        const digits = written[input.dataset.role];
        if (digits !== undefined) part(input.dataset.role + "-value").textContent = Number(input.value).toFixed(digits);
        paint();
      });
    }
    zoom.addEventListener("input", () => {
      part("zoom-value").textContent = zoom.value + "×";
      stage.style.setProperty("--zoom", zoom.value);
      paint();
    });
    slider?.addEventListener("input", turn);
    window.addEventListener("resize", paint);
    turn();
  }

  document.querySelectorAll(".viewer").forEach(start);
  // What is folded away on the screen is printed.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((element) => { element.open = true; });
  });
  window.addEventListener("afterprint", () => folded.forEach((element) => { element.open = false; }));
})();

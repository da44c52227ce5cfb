"use strict";
(() => {
  const FILLED = "#56b4e9", EMPTY = "#f0c000", LOSS = "#ff5a1f", GAIN = "#2fe07a";
  const hex = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  const between = (a, b, t) =>
    "rgb(" + [0, 1, 2].map((i) => Math.round(hex(a, i) + (hex(b, i) - hex(a, i)) * t)).join(",") + ")";

  function start(root) {
    const part = (role) => root.querySelector("[data-role='" + role + "']");
    const data = JSON.parse(part("data").textContent);
    const [image, svg, stage, tip, key] = ["image", "marks", "stage", "tip", "key"].map(part);
    const [show, colour, least, opacity, zoom, slider, play] =
      ["show", "colour", "least", "opacity", "zoom", "frame", "play"].map(part);
    const SVG = (name) => document.createElementNS(svg.namespaceURI, name);
    data.frames[0].png = image.src;
    let frame = data.frames[0];
    let losses = new Map();
    let gains = new Map();
    const count = data.x.length;
    const x = (i) => (frame.places ? frame.places[0][i] : data.x[i]);
    const y = (i) => (frame.places ? frame.places[1][i] : data.y[i]);
    const mapped = (fraction) => {
      const place = Math.min(Math.max(fraction, 0), 1) * (data.ramp.length - 1);
      const below = Math.min(Math.floor(place), data.ramp.length - 2);
      return between(data.ramp[below], data.ramp[below + 1], place - below);
    };
    const mode = () => (colour ? colour.value : "occupancy");
    const colourOf = (i) => {
      if (mode() === "state") {
        const filled = frame.filled[i];
        return filled === null || filled === undefined ? "#bbbbbb" : between(EMPTY, FILLED, filled / 100);
      }
      if (mode() === "occupancy") return mapped(data.occupancy[i] ?? 0);
      return mapped((data.rate[i] ?? 0) / data.rateRange.high);
    };

    function ring(into, i, radius, stroke, width, strength) {
      const circle = SVG("circle");
      circle.setAttribute("cx", x(i) + data.half);
      circle.setAttribute("cy", y(i) + data.half);
      circle.setAttribute("r", radius);
      circle.setAttribute("fill", "none");
      circle.setAttribute("stroke", stroke);
      circle.setAttribute("stroke-width", width);
      circle.setAttribute("stroke-opacity", strength);
      circle.setAttribute("vector-effect", "non-scaling-stroke");
      into.append(circle);
    }

    function paint() {
      svg.replaceChildren();
      svg.style.opacity = opacity.value;
      if (show.checked) {
        const fragment = document.createDocumentFragment();
        for (let i = 0; i < count; i++) {
          if (x(i) === null || y(i) === null) continue;
          ring(fragment, i, data.radius, "#000", 4.0, 0.5);
          ring(fragment, i, data.radius, colourOf(i), 2.4, 1);
        }
        for (const [switches, stroke] of [[losses, LOSS], [gains, GAIN]]) {
          for (const [i, percent] of switches) {
            if (percent < 100 * Number(least.value) || x(i) === null) continue;
            ring(fragment, i, 1.3 * data.radius, "#000", 7, 0.5);
            ring(fragment, i, 1.3 * data.radius, stroke, 5, 0.3 + 0.007 * percent);
          }
        }
        svg.append(fragment);
      }
      explain();
    }

    function explain() {
      key.replaceChildren();
      const add = (tag, className, text) => {
        const element = document.createElement(tag);
        if (className) element.className = className;
        if (text !== undefined) element.textContent = text;
        key.append(element);
        return element;
      };
      const entry = (name, style) => {
        const dot = document.createElement("span");
        dot.className = "circle";
        dot.style.borderColor = style;
        add("span").append(dot, name);
      };
      const counted = (switches) => [...switches.values()].filter((p) => p >= 100 * Number(least.value)).length;
      if (!show.checked || count === 0) return;
      if (mode() === "state") {
        entry("filled", FILLED);
        entry("empty", EMPTY);
      } else {
        const ramp = document.createElement("span");
        ramp.className = "ramp";
        ramp.style.background = "linear-gradient(to right," + data.ramp.join(",") + ")";
        const [name, high] = mode() === "occupancy" ? ["Occupancy 0", "100 %"]
          : ["Switches " + data.unit + " 0", data.rateRange.highLabel];
        add("span").append(name, ramp, high);
      }
      if (frame.filled.length) {
        entry("emptied: " + counted(losses), LOSS);
        entry("filled again: " + counted(gains), GAIN);
        const filled = frame.filled.filter((p) => p !== null && p >= 50).length;
        add("span", "count", filled + " of " + count + " sites filled");
      }
    }

    function turn() {
      frame = data.frames[slider ? Number(slider.value) : 0];
      losses = new Map(frame.losses);
      gains = new Map(frame.gains);
      image.src = frame.png;
      image.alt = frame.alt;
      if (slider) part("frame-value").textContent = frame.label;
      tip.hidden = true;
      paint();
    }

    stage.addEventListener("mousemove", (event) => {
      const box = stage.getBoundingClientRect();
      const at = [((event.clientX - box.left) / box.width) * data.width - data.half,
        ((event.clientY - box.top) / box.height) * data.height - data.half];
      let best = -1;
      let distance = Math.max(1.5 * data.radius, (6 / box.width) * data.width) ** 2;
      for (let i = 0; i < count && show.checked; i++) {
        const squared = (x(i) - at[0]) ** 2 + (y(i) - at[1]) ** 2;
        if (squared < distance) { best = i; distance = squared; }
      }
      tip.hidden = best < 0;
      if (best < 0) return;
      const lines = ["site " + best + ", " + (data.classes[data.class[best]] ?? "class " + data.class[best])];
      if (frame.filled.length) {
        const filled = frame.filled[best];
        lines.push("filled in this frame: " + (filled === null ? "–" : filled + " %"));
        if (losses.has(best)) lines.push("emptied: " + losses.get(best) + " %");
        if (gains.has(best)) lines.push("filled again: " + gains.get(best) + " %");
      }
      lines.push("occupancy " + data.occupancyLabel[best], "switches " + data.unit + " " + data.rateLabel[best]);
      tip.replaceChildren(...lines.flatMap((line, i) => (i ? [document.createElement("br"), line] : [line])));
      const left = ((x(best) + data.half) / data.width) * box.width;
      const top = ((y(best) + data.half) / data.height) * box.height;
      const flip = left + tip.offsetWidth + 24 > box.width;
      tip.style.left = (flip ? Math.max(left - tip.offsetWidth - 14, 0) : left + 14) + "px";
      tip.style.top = Math.min(Math.max(top - 20, 0), Math.max(box.height - tip.offsetHeight, 0)) + "px";
    });
    stage.addEventListener("mouseleave", () => { tip.hidden = true; });

    for (const input of [show, colour, least, opacity]) {
      input?.addEventListener("input", () => {
        const written = part(input.dataset.role + "-value");
        if (written) written.textContent = Number(input.value).toFixed(2);
        paint();
      });
    }
    zoom.addEventListener("input", () => {
      part("zoom-value").textContent = zoom.value + "×";
      stage.style.setProperty("--zoom", zoom.value);
    });
    slider?.addEventListener("input", turn);
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; if (play) play.textContent = "Play"; };
    play?.addEventListener("click", () => {
      if (timer !== null) { stop(); return; }
      play.textContent = "Stop";
      timer = setInterval(() => {
        slider.value = (Number(slider.value) + 1) % data.frames.length;
        turn();
      }, 250);
    });
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

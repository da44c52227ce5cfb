"use strict";
// What every picture with things to point at has in common: frames, zoom, colours, the key below and the tip. What is
// shown on it is told by the kind of viewer, a function in `kinds` by the name in the element's data-kind.
const kinds = {};
(() => {
  // Above this many circles they are painted on a canvas, which a browser does quickly for any number.
  const MOST_CIRCLES = 4000;

  const between = (a, b, t) => {
    const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
    return "rgb(" + [0, 1, 2].map((i) => Math.round(part(a, i) + (part(b, i) - part(a, i)) * t)).join(",") + ")";
  };
  const fixed = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));

  function start(root) {
    const part = (role) => root.querySelector("[data-role='" + role + "']");
    const data = JSON.parse(part("data").textContent);
    const [image, svg, canvas, stage, tip, key] =
      ["image", "marks", "canvas", "stage", "tip", "key"].map(part);
    const [show, opacity, zoom, slider, play] = ["show", "opacity", "zoom", "frame", "play"].map(part);
    data.frames[0].png = image.src;

    const view = {
      data, part, between, fixed,
      frame: data.frames[0],
      mapped(fraction) {
        const place = Math.min(Math.max(fraction, 0), 1) * (data.ramp.length - 1);
        const below = Math.min(Math.floor(place), data.ramp.length - 2);
        return between(data.ramp[below], data.ramp[below + 1], place - below);
      },
      // A shape in the units of the picture, from the centre of its first pixel; lines keep their width in any zoom.
      shape(name, attributes) {
        const element = document.createElementNS(svg.namespaceURI, name);
        if (!attributes.fill) element.setAttribute("fill", "none");
        for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
        if (attributes.stroke) element.setAttribute("vector-effect", "non-scaling-stroke");
        return element;
      },
      add(tag, className, text) {
        const element = document.createElement(tag);
        if (className) element.className = className;
        if (text !== undefined) element.textContent = text;
        key.append(element);
        return element;
      },
      entry(name, className, style) {
        const mark = document.createElement("span");
        mark.className = className;
        Object.assign(mark.style, style);
        view.add("span").append(mark, name);
      },
      // A name after shapes that lie within 1.5 of the origin.
      symbol(name, shapes) {
        const mark = view.shape("svg", { viewBox: "-1.6 -1.6 3.2 3.2", class: "symbol" });
        mark.append(...shapes);
        view.add("span").append(mark, name);
      },
      ramp(name, low, high, colours) {
        const ramp = document.createElement("span");
        ramp.className = "ramp";
        ramp.style.background = "linear-gradient(to right," + (colours ?? data.ramp).join(",") + ")";
        view.add("span").append(name + " " + low, ramp, high);
      },
      places: { count: 0 },
    };
    const kind = kinds[root.dataset.kind](view);
    const visible = (i) => view.x(i) !== null && view.y(i) !== null && kind.shown(i);
    view.x ??= () => null;
    view.y ??= () => null;

    // Circles given as { i, radius, fill | stroke, width, opacity }, in order.
    function circles(list, many) {
      canvas.toggleAttribute("hidden", !many);
      if (!many) {
        return list.map(({ i, radius, fill, stroke, width, opacity }) => view.shape("circle", {
          cx: view.x(i) + data.half, cy: view.y(i) + data.half, r: radius,
          ...(fill ? { fill, "fill-opacity": opacity ?? 1 } : { stroke, "stroke-width": width, "stroke-opacity": opacity ?? 1 }),
        }));
      }
      const dots = Math.min(window.devicePixelRatio || 1, 4096 / Math.max(stage.clientWidth, stage.clientHeight, 1));
      canvas.width = Math.max(Math.round(stage.clientWidth * dots), 1);
      canvas.height = Math.max(Math.round(stage.clientHeight * dots), 1);
      const scale = canvas.width / data.width;
      const pen = canvas.getContext("2d");
      for (const { i, radius, fill, stroke, width, opacity } of list) {
        pen.globalAlpha = opacity ?? 1;
        pen.beginPath();
        pen.arc((view.x(i) + data.half) * scale, (view.y(i) + data.half) * scale, Math.max(radius * scale, 1), 0, 7);
        if (fill) { pen.fillStyle = fill; pen.fill(); continue; }
        pen.lineWidth = Math.max(Math.min(width * dots, 0.5 * radius * scale), 1);
        pen.strokeStyle = stroke;
        pen.stroke();
      }
      return [];
    }

    function paint() {
      svg.replaceChildren();
      key.replaceChildren();
      if (opacity) svg.style.opacity = canvas.style.opacity = opacity.value;
      canvas.toggleAttribute("hidden", true);
      const shown = [];
      for (let i = 0; i < (kind.count?.() ?? 0); i++) if (visible(i)) shown.push(i);
      if (!show || show.checked) {
        svg.append(...(kind.under?.() ?? []));
        svg.append(...circles(shown.flatMap((i) => kind.circles(i)), shown.length > MOST_CIRCLES));
      }
      svg.append(...(kind.over?.() ?? []));
      kind.explain(shown, !show || show.checked);
    }

    function turn() {
      view.frame = data.frames[slider ? Number(slider.value) : 0];
      image.src = view.frame.png;
      image.alt = view.frame.alt;
      if (slider && part("frame-value")) part("frame-value").textContent = view.frame.label;
      tip.hidden = true;
      kind.turn?.();
      paint();
    }

    stage.addEventListener("mousemove", (event) => {
      const box = stage.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * data.width - data.half;
      const y = ((event.clientY - box.top) / box.height) * data.height - data.half;
      let best = -1;
      let distance = Math.max(1.5 * (data.radius ?? 0), (6 / box.width) * data.width) ** 2;
      const count = show && !show.checked ? 0 : (kind.count?.() ?? 0);
      for (let i = 0; i < count; i++) {
        if (!visible(i)) continue;
        const squared = (view.x(i) - x) ** 2 + (view.y(i) - y) ** 2;
        if (squared < distance) { best = i; distance = squared; }
      }
      tip.hidden = best < 0;
      if (best < 0) return;
      tip.replaceChildren(...kind.tell(best).flatMap((line, i) => (i ? [document.createElement("br"), line] : [line])));
      const left = ((view.x(best) + data.half) / data.width) * box.width;
      const top = ((view.y(best) + data.half) / data.height) * box.height;
      const flip = left + tip.offsetWidth + 24 > box.width;
      tip.style.left = (flip ? Math.max(left - tip.offsetWidth - 14, 0) : left + 14) + "px";
      tip.style.top = Math.min(Math.max(top - 20, 0), Math.max(box.height - tip.offsetHeight, 0)) + "px";
    });
    stage.addEventListener("mouseleave", () => { tip.hidden = true; });

    for (const input of root.querySelectorAll(".controls [data-role]:is(input, select)")) {
      if ([zoom, slider].includes(input)) continue;
      input.addEventListener("input", () => {
        const written = part(input.dataset.role + "-value");
        if (written) written.textContent = Number(input.value).toFixed(2);
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
    let timer = null;
    play?.addEventListener("click", () => {
      play.textContent = timer === null ? "Stop" : "Play";
      if (timer !== null) { clearInterval(timer); timer = null; return; }
      timer = setInterval(() => {
        slider.value = (Number(slider.value) + 1) % data.frames.length;
        turn();
      }, 250);
    });
    turn();
  }

  window.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".viewer").forEach(start));
  // What is folded away on the screen is printed.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((element) => { element.open = true; });
  });
  window.addEventListener("afterprint", () => folded.forEach((element) => { element.open = false; }));
})();

// @ts-check
/* Draws the charts of a tear sheet in the page's theme, and always in the light one on paper. */
(() => {
  const PAPER_PX = 660; // what A4 leaves between its margins and a frame, at 96 px an inch
  const NARROW_PX = 560;
  const CONFIG = { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: false };
  const twins = JSON.parse(document.getElementById("twins").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const boxes = [...document.querySelectorAll("[data-chart]")];

  /** Return a part of a figure with every light colour replaced by its dark twin. */
  function darkened(part) {
    if (Array.isArray(part)) return part.map(darkened);
    if (part && typeof part === "object") {
      return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, darkened(value)]));
    }
    return typeof part === "string" ? (twins[part] ?? part) : part;
  }

  /** Return the figure of a box as the server drew it. */
  function figureOf(box) {
    return JSON.parse(document.getElementById(`${box.dataset.chart}-data`).textContent);
  }

  /** Return a layout for a phone: fewer times on the axis, and what a chart itself asks for. */
  function narrowed(layout) {
    const axes = Object.keys(layout).filter((name) => name.startsWith("xaxis"));
    const few = Object.fromEntries(axes.map((name) => [name, { ...layout[name], nticks: 3, tickangle: 0 }]));
    const { ticks, font } = layout.meta ?? {};
    if (!ticks) return { ...layout, ...few };
    const small = (note) => (note.font.size > 11 ? note : { ...note, font: { ...note.font, size: font } });
    const annotations = layout.annotations.map(small);
    return { ...layout, annotations, xaxis: { ...layout.xaxis, ticktext: ticks, tickangle: 0 } };
  }

  function draw({ onPaper = false } = {}) {
    for (const box of boxes) {
      const figure = figureOf(box);
      const { data, layout: whole } = dark.matches && !onPaper ? darkened(figure) : figure;
      const layout = !onPaper && box.clientWidth < NARROW_PX ? narrowed(whole) : whole;
      const size = onPaper ? { width: PAPER_PX, autosize: false } : { autosize: true };
      const drag = touch.matches ? { dragmode: false } : {}; // a finger scrolls the page
      Plotly.react(box, data, { ...layout, ...size, ...drag }, { ...CONFIG, responsive: !onPaper });
    }
  }

  /** Save a chart as a picture that says what it is. */
  function download(key) {
    const box = boxes.find((each) => each.dataset.chart === key);
    const { data, layout } = figureOf(box);
    const title = { text: box.dataset.title, font: { size: 16 }, x: 0.02 };
    const margin = { ...layout.margin, t: (layout.margin?.t ?? 16) + 40 };
    const whole = { ...layout, title, margin, paper_bgcolor: "#fff", height: layout.height + 40 };
    Plotly.downloadImage({ data, layout: whole }, {
      format: "png", filename: box.dataset.file, width: 1200, height: whole.height, scale: 2,
    });
  }

  draw();
  dark.addEventListener("change", () => draw());
  addEventListener("beforeprint", () => draw({ onPaper: true }));
  addEventListener("afterprint", () => draw());
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-png]");
    if (button) download(button.dataset.png);
  });
})();

// What a LiveFigure does in the page: draw the figure that Python sent, in place, with one plotly.js for all.
//
// Every view of a page waits for one promise of plotly.js, under one symbol; the carrier widget keeps it (carrier.js).
// A view whose carrier is gone says a sentence.
// While a picture is being drawn only the newest one that arrives is kept: stale pictures are never painted.

const PLOTLY = Symbol.for("efflab.plotly");
const CONFIG = {
  displaylogo: false,
  modeBarButtonsToRemove: ["sendChartToCloud", "lasso2d", "select2d"],
  plotlyServerURL: "", // the default is a cloud service
  responsive: true,
};
const PALE = 0.25;
const EDGE = 4; // pixels between the longest word and the edge
const LONGEST = 6; // an axis grows no further for its words: shorter bars would say nothing
const ABSENT = "Run this cell to see the picture.";

// The carrier's model, or null when the notebook was reopened and its kernel is gone.
async function liveCarrier(model) {
  const id = model.get("bundle").replace("IPY_MODEL_", "");
  const carrier = await Promise.resolve(model.widget_manager.get_model(id)).catch(() => null);
  return carrier?.comm_live ? carrier : null;
}

function make(tag, className, parent) {
  const element = document.createElement(tag);
  element.className = className;
  parent.append(element);
  return element;
}

// What scrolls must be within reach of the keyboard, and its arrow keys are not for JupyterLab.
function makePane(parent) {
  const pane = make("div", "", parent);
  const attributes = { tabindex: "0", role: "group", "aria-label": "Table", "data-lm-suppress-shortcuts": "true" };
  for (const [name, value] of Object.entries(attributes)) pane.setAttribute(name, value);
  return pane;
}

function fillTable(table, { columns, rows, left_out }) {
  table.replaceChildren();
  const head = make("tr", "", make("thead", "", table));
  for (const name of columns) Object.assign(make("th", "", head), { scope: "col", textContent: name });
  const body = make("tbody", "", table);
  for (const [first, ...others] of rows) {
    const line = make("tr", "", body);
    Object.assign(make("th", "", line), { scope: "row", textContent: first });
    for (const text of others) make("td", "", line).textContent = text;
  }
  if (left_out) make("caption", "", table).textContent = `${left_out} more rows are not shown.`;
}

class View {
  constructor(model, el) {
    this.model = model;
    this.root = make("figure", "efflab-figure", el);
    this.root.setAttribute("role", "figure");
    this.plot = make("div", "efflab-plot", this.root);
    this.plot.setAttribute("aria-hidden", "true"); // the label and the table say it better than loose tick labels
    this.note = make("p", "efflab-note", this.root);
    this.note.setAttribute("role", "status");
    this.details = make("details", "efflab-table", this.root);
    make("summary", "", this.details).textContent = "Table";
    this.table = make("table", "", makePane(this.details));
    this.details.addEventListener("toggle", () => this.describe());
    this.describe();
  }

  async start() {
    const carrier = await liveCarrier(this.model);
    if (!carrier) return this.say(ABSENT);
    try {
      this.plotly = await (globalThis[PLOTLY] ??= Promise.withResolvers()).promise;
    } catch (error) {
      return this.fail(error);
    }
    if (!this.disposed) this.listen();
  }

  listen() {
    const redraw = () => this.request();
    this.handlers = {
      "change:revision change:projector change:templates change:height": redraw,
      "change:message": () => this.say(this.model.get("message")),
    };
    for (const [events, handler] of Object.entries(this.handlers)) this.model.on(events, handler);
    this.theme = new MutationObserver(redraw);
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
    this.size = new ResizeObserver(() => (this.stale ? redraw() : this.fit()));
    this.size.observe(this.plot);
    redraw();
  }

  // Draw now, or once more after the drawing in progress has been painted. Hidden views wait to be seen.
  async request() {
    this.stale = true;
    if (this.drawing) return;
    this.drawing = true;
    if (!this.plot.clientWidth) await painted(); // JupyterLab hides all for less than a frame when its theme changes
    while (this.stale && !this.disposed && this.plot.clientWidth) {
      this.stale = false;
      await this.draw().catch((error) => this.fail(error));
      await painted();
    }
    this.drawing = false;
  }

  async draw() {
    const { model, root } = this;
    const revision = model.get("revision");
    if (revision !== this.parsed) {
      this.figure = JSON.parse(new TextDecoder().decode(model.get("picture")));
      this.opacities = this.figure.data.map(({ marker }) => marker?.opacity ?? 1); // before plotly writes into them
      this.range = this.figure.layout.meta?.make_room ? [...this.figure.layout.xaxis.range] : null;
      this.parsed = revision;
      this.lit = null;
    }
    this.describe();
    this.plot.style.height = `${model.get("height")}px`;
    await this.plotly.react(this.plot, this.figure.data, this.layout(), CONFIG);
    await this.makeRoom();
    this.drawnSize = this.measure();
    if (!root.dataset.drawn) this.watch();
    this.say(model.get("message"));
    root.dataset.drawn = revision;
  }

  watch() {
    this.plot.on("plotly_click", (event) => this.clicked(event.points[0]));
    // plotly forgets what it hovers over while it draws, and then hovers once more. If the pointer leaves just then,
    // there is no unhover, and a hover too many: so the page is asked where the pointer is.
    this.plot.on("plotly_hover", ({ points }) => this.plot.matches(":hover") && this.light(points[0].customdata));
    this.plot.on("plotly_unhover", () => this.light(null));
    this.plot.addEventListener("mouseleave", () => this.light(null));
  }

  // Where layout.meta.together is set, points with the same customdata belong together: the others turn pale. With
  // null all look again as Python drew them.
  light(name) {
    if (!this.figure.layout.meta?.together || name === this.lit) return;
    this.lit = name;
    this.figure.data.forEach(({ customdata }, trace) => {
      if (!customdata) return;
      const opacity = name === null ? this.opacities[trace] : customdata.map((one) => (one === name ? 1 : PALE));
      this.plotly.restyle(this.plot, { "marker.opacity": [opacity] }, [trace]);
    });
  }

  layout() {
    const dark = document.body.dataset.jpThemeLight === "false";
    const name = this.model.get("projector") ? (dark ? "projector_dark" : "projector") : dark ? "dark" : "light";
    const template = this.model.get("templates")[name];
    this.root.dataset.template = template ? name : "";
    return { uirevision: "keep", ...this.figure.layout, template, autosize: true, width: undefined, height: undefined };
  }

  measure() {
    return `${this.plot.clientWidth} x ${this.plot.clientHeight}`;
  }

  // The page made the place wider or narrower, or showed a tab again. plotly leaves a legend that needs fewer lines now
  // on top of the picture, so all is drawn once more.
  async fit() {
    if (!this.drawnSize || !this.plot.clientWidth || this.drawnSize === this.measure()) return;
    this.drawnSize = this.measure();
    await this.plotly.Plots.resize(this.plot);
    if (this.disposed || !this.plot.clientWidth) return;
    await this.plotly.redraw(this.plot);
    await this.makeRoom();
  }

  // Words behind bars need pixels, of which Python knows nothing. Where layout.meta.make_room is set, the x axis becomes
  // as long as it must, and the bars as short, for all words to stand on the page; never shorter than Python drew it.
  async makeRoom() {
    if (!this.range || this.disposed) return;
    const [low, high] = this.range;
    const [from, to] = this.plot.layout.xaxis.range;
    if (from !== low) return; // a hand has zoomed
    const start = this.plot.querySelector(".nsewdrag").getBoundingClientRect().left;
    const room = this.plot.getBoundingClientRect().right - start - EDGE;
    const words = [...this.plot.querySelectorAll(".bartext, .textpoint text")].map((text) => text.getBoundingClientRect());
    const lengths = words.map(({ left, width }) => ((left - start) * (to - low)) / Math.max(room - width, 1));
    const end = low + Math.min(Math.max(high - low, ...lengths), LONGEST * (high - low));
    if (Math.abs(end - to) > 0.001 * (high - low)) await this.plotly.relayout(this.plot, { "xaxis.range": [low, end] });
  }

  describe() {
    this.root.setAttribute("aria-label", this.model.get("alt"));
    const table = this.model.get("table");
    this.details.hidden = !table.rows;
    if (table.rows && this.details.open) fillTable(this.table, table); // closed, it would cost at every move
    else this.table.replaceChildren(); // or it would open with old numbers, until it is told that it is open
  }

  clicked(point) {
    const { x, y, curveNumber: curve, pointNumber: index } = point;
    this.model.send({ type: "clicked", x, y, curve, index });
  }

  say(sentence) {
    this.note.textContent = sentence;
    this.note.hidden = !sentence;
  }

  fail(error) {
    console.error(error);
    this.say(`This picture could not be drawn: ${error.message}`);
  }

  dispose() {
    this.disposed = true;
    for (const [events, handler] of Object.entries(this.handlers ?? {})) this.model.off(events, handler);
    this.theme?.disconnect();
    this.size?.disconnect();
    this.plotly?.purge(this.plot);
  }
}

function painted() {
  if (document.hidden) return Promise.resolve(); // a hidden page has no frames to wait for
  return new Promise((resolve) => requestAnimationFrame(resolve));
}

function render({ model, el }) {
  const view = new View(model, el);
  view.start();
  return () => view.dispose();
}

export default { render };

// Load plotly.js for all pictures of a page: once, from the kernel's bytes, never from the network.
//
// It begins when the carrier reaches the page, while the kernel still computes what the pictures will show. They wait
// for the promise under one symbol, which the first of them to come makes.

const PLOTLY = Symbol.for("efflab.plotly");

// plotly.min.js as a module of its own: it finds `module.exports`, no `define`, and leaves no global behind.
const BEFORE =
  "const module = {exports: {}}, exports = undefined, define = undefined;" +
  'const before = Object.getOwnPropertyDescriptor(self, "Plotly");\n';
const AFTER =
  '\n;if (before) Object.defineProperty(self, "Plotly", before); else delete self.Plotly;' +
  "export default module.exports;";

async function load(packed) {
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const source = await new Response(unpacked).blob();
  const url = URL.createObjectURL(new Blob([BEFORE, source, AFTER], { type: "text/javascript" }));
  try {
    return (await import(url)).default;
  } finally {
    URL.revokeObjectURL(url);
    performance.mark("efflab.plotly"); // one mark a page: tests count them
  }
}

function initialize({ model }) {
  const packed = model.get("packed");
  const shared = (globalThis[PLOTLY] ??= Promise.withResolvers());
  if (packed?.byteLength && !shared.isLoading) {
    shared.isLoading = true;
    // Not awaited: anywidget gives up on a model that takes more than two seconds to begin with.
    load(packed).then(shared.resolve, (error) => {
      delete globalThis[PLOTLY]; // the carrier of the next kernel may have better luck
      shared.reject(error);
    });
  }
  model.set("packed", null); // or a notebook saved with its widgets' state would hold it
}

export default { initialize, render() {} };

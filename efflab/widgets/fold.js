// Text behind a summary. It stays open while its text changes, which a <details> inside an HTML widget would not.

function render({ model, el }) {
  const details = document.createElement("details");
  details.className = "efflab-fold";
  const summary = document.createElement("summary");
  const body = document.createElement("div");
  details.append(summary, body);
  el.replaceChildren(details);
  const show = () => {
    summary.textContent = model.get("summary");
    body.innerHTML = model.get("html"); // from Python, which escapes what a learner types
  };
  model.on("change:summary change:html", show);
  show();
  return () => model.off("change:summary change:html", show);
}

export default { render };

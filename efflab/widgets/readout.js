// The sentence and the error line of a panel, and names for the controls in it.

// A control is `.efflab-control`: a label (`.efflab-label`) and one widget below it, or a control for each layer.
function nameControls(panel) {
  for (const control of panel.querySelectorAll(".efflab-control")) {
    const own = control.querySelector(".efflab-label")?.textContent.trim();
    if (!own) continue;
    const whole = control.parentElement.closest(".efflab-control")?.querySelector(".efflab-label")?.textContent.trim();
    const label = whole ? `${own}, ${whole}` : own;
    for (const part of control.querySelectorAll(".noUi-handle, input, select, textarea, .widget-readout")) {
      // A radio button and a checkbox have words of their own beside them.
      if (part.closest(".efflab-control") !== control || ["radio", "checkbox"].includes(part.type)) continue;
      if (part.getAttribute("aria-label") !== label) part.setAttribute("aria-label", label);
    }
    // The arrow keys move these. JupyterLab would take them, too: left folds the section away, up goes to another cell.
    for (const part of control.querySelectorAll(".noUi-handle, input[type=radio], select")) {
      if (!part.dataset.lmSuppressShortcuts) part.dataset.lmSuppressShortcuts = "true";
    }
    // noUiSlider rounds the value that it tells a screen reader to one decimal: 0.87 would be spoken as 0.9.
    const readout = control.querySelector(".widget-readout")?.textContent.trim();
    const handle = control.querySelector(".noUi-handle");
    if (readout && handle && handle.getAttribute("aria-valuetext") !== readout) {
      handle.setAttribute("aria-valuetext", readout);
    }
    const radios = control.querySelector(".widget-radio-box");
    if (radios && radios.getAttribute("aria-label") !== label) {
      radios.setAttribute("role", "radiogroup");
      radios.setAttribute("aria-label", label);
    }
    const bar = control.querySelector(".progress");
    if (bar) {
      const width = parseFloat(control.querySelector(".progress-bar")?.style.width) || 0;
      bar.setAttribute("role", "progressbar");
      bar.setAttribute("aria-label", label);
      bar.setAttribute("aria-valuenow", String(Math.round(width)));
    }
  }
}

// Over all of the page: the top layer of the browser, which no box of JupyterLab can hold back.
function fillWindow(panel) {
  panel.classList.add("efflab-window");
  panel.setAttribute("popover", "manual");
  panel.showPopover();
}

function render({ model, el }) {
  const sentence = document.createElement("p");
  sentence.className = "efflab-sentence";
  sentence.setAttribute("aria-live", "polite");
  const error = document.createElement("p");
  error.className = "efflab-error";
  error.setAttribute("role", "alert");
  el.replaceChildren(sentence, error);

  const show = () => {
    sentence.textContent = model.get("sentence");
    error.textContent = model.get("error");
    error.hidden = !model.get("error");
  };
  model.on("change:sentence change:error", show);
  show();

  // The panel around us appears after us, and ipywidgets rebuilds its parts: look again when something changed.
  let panel = null;
  let waiting = 0;
  const look = () => {
    waiting = 0;
    if (panel) nameControls(panel);
  };
  const watcher = new MutationObserver(() => {
    if (!waiting) waiting = setTimeout(look, 50);
  });
  const attach = () => {
    panel = el.closest(".efflab-panel");
    if (!panel) return false;
    watcher.observe(panel, {
      subtree: true,
      childList: true,
      characterData: true,
      attributes: true,
      attributeFilter: ["style", "aria-valuetext"],
    });
    look();
    if (model.get("fills_window")) fillWindow(panel);
    return true;
  };
  const attempt = () => attach() || (waiting = requestAnimationFrame(attempt));
  attempt();

  return () => {
    watcher.disconnect();
    clearTimeout(waiting);
    cancelAnimationFrame(waiting);
    model.off("change:sentence change:error", show);
  };
}

export default { render };

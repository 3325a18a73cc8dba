// Thumbs, pins and the like: shown at once, told to the server, and taken back where it refuses. What is opened and
// copied is told as well. Lists carry `data-shown`, sources in them `data-chunk`. dialogs.js comes before it.
"use strict";

(() => {
  const { announce } = window.commonplace;
  const KNOWN = "commonplace-knows-marks";
  let send = () => {};
  let undo = () => {}; // of the mark that was made last
  let refused = "";

  function connectMarks(sender) {
    send = sender;
    document.body.classList.toggle("knows-marks", remembered());
  }

  // A browser may be told to keep nothing; the hint is shown again then.
  function remembered(known = false) {
    try {
      if (known) localStorage.setItem(KNOWN, "yes");
      return known || localStorage.getItem(KNOWN) === "yes";
    } catch {
      return known;
    }
  }

  function knowMarks() {
    document.body.classList.toggle("knows-marks", remembered(true));
  }

  const pressed = (button, on) => button.setAttribute("aria-pressed", String(on));

  function mark(button) {
    const { shown, chunk } = place(button);
    if (!shown) return;
    const { act, against } = button.dataset;
    const on = button.getAttribute("aria-pressed") !== "true";
    const others = [...button.parentElement.querySelectorAll("[aria-pressed='true']")].filter(
      (other) => on && against.split(" ").includes(other.dataset.act),
    );
    undo = () => {
      pressed(button, !on);
      for (const other of others) pressed(other, true);
    };
    pressed(button, on);
    for (const other of others) pressed(other, false);
    send("mark", { shown, chunk, act, back: !on });
    if (!on) announce("Taken back.");
  }

  // The list and the source that an element belongs to.
  function place(element) {
    const chunk = element.closest("[data-chunk]")?.dataset.chunk || "";
    return { shown: element.closest("[data-shown]")?.dataset.shown || "", chunk };
  }

  function note(act, element) {
    const { shown, chunk } = place(element);
    if (shown && (chunk || act === "copy")) send("mark", { shown, chunk, act, back: false });
  }

  // The server says what was wrong with a mark; each time in another element, though it may be the same.
  function onMarked() {
    const said = document.querySelector("#marked [data-refused]");
    if (!said || said.dataset.refused === refused) return;
    refused = said.dataset.refused;
    undo();
    announce(said.textContent);
  }

  document.addEventListener("copy", () => {
    const chosen = getSelection()?.anchorNode;
    const element = chosen instanceof Element ? chosen : chosen?.parentElement;
    const within = element?.closest(".card, .answer");
    if (within) note("copy", within);
  });

  Object.assign(window.commonplace, { connectMarks, knowMarks, mark, note, onMarked });
})();

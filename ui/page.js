// What the page does by itself: places, keys, what is asked and what is looked for. Every word it shows from the library
// comes from the server as escaped HTML; here text is only ever set as text. dialogs.js and files.js come before it.
"use strict";

(() => {
  const { announce, inquire, openSource, closeSource } = window.commonplace;
  const { connectFiles, choosePicture, chooseFiles, isReceiving, received } = window.commonplace;
  const { connectMarks, knowMarks, mark, note, onMarked } = window.commonplace;
  const SLACK = 96; // pixels from the end of a conversation that still count as being at its end
  const state = {
    conversation: "",
    place: "chat",
    picked: new Set(),
    done: new Set(), // jobs whose end was seen before the last question: they stay on the Library page only
    library: { text: "", kinds: new Set(), column: "title", down: false, all: false },
    search: { text: "", kinds: new Set() },
    find: "",
    unfolded: new Set(), // of what is folded away, by name: it stays so when it is drawn again
    pulse: -1,
    attached: true, // the reader follows the end of the conversation
    beginning: false, // a first question is on its way
    attaching: false, // so is a picture to ask with
  };
  let send = () => {};

  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // --- talking to the server -------------------------------------------------------------------------------------

  function connect(trigger, uploader, names) {
    const known = new Set(names);
    let order = 0; // requests may overtake one another on their way
    send = (name, data = {}) => known.has(name) && trigger(name, { ...data, order: (order += 1) });
    connectFiles(attachOrAdopt, uploader, () => beatIn(250));
    connectMarks(send);
    window.addEventListener("hashchange", route);
    watch();
    route();
    beat();
    document.body.dataset.ready = "true";
  }

  function attachOrAdopt(name, data) {
    if (name === "attach") state.attaching = true;
    send(name, data);
  }

  // The server counts changes; whoever sees a new count asks for the parts that may have changed.
  let beating = 0;
  const beatIn = (wait) => {
    clearTimeout(beating);
    beating = setTimeout(beat, wait);
  };

  async function beat() {
    let wait = 2000;
    if (!document.hidden) {
      try {
        const pulse = await (await fetch("/pulse")).json();
        if (pulse.version !== state.pulse) onPulse(pulse.version);
        wait = pulse.busy ? 400 : 2000;
        document.body.classList.remove("away");
      } catch {
        document.body.classList.add("away");
      }
    }
    beatIn(wait);
  }

  function onPulse(version) {
    state.pulse = version;
    send("refresh");
    if (state.place === "library") loadTable();
    if (["improve", "evaluate"].includes(state.place)) send(state.place);
    const idle = document.body.classList.contains("welcoming") && !state.beginning;
    if (state.place === "chat" && idle) send("open", { conversation: "", find: state.find });
  }

  const kindsOf = (view) => [...view.kinds];
  const loadTable = () => {
    const { text, column, down, all } = state.library;
    send("table", { text, column, down, all, kinds: kindsOf(state.library) });
  };
  // `settled`: the words are whole, and the list is logged; while they are typed it is once something is done with it.
  const loadResults = (settled = false) => {
    const { picture, like } = tile("search");
    send("search", { text: state.search.text, kinds: kindsOf(state.search), picture, like, settled });
  };
  // What takes a while and is shown, as it goes on, at the top of its page.
  const begin = (name, data) => {
    send(name, data);
    scrollTo(0, 0);
  };
  const loadList = () => send("find", { find: state.find, conversation: state.conversation });

  // --- places ----------------------------------------------------------------------------------------------------

  function route() {
    const [place, conversation, ...more] = location.hash.slice(1).split("/");
    closeSource();
    state.place = ["chat", "library", "search", "improve", "evaluate", "models"].includes(place) ? place : "chat";
    document.body.dataset.place = state.place;
    document.body.classList.remove("list-open");
    scrollTo(0, 0); // each place begins at its top, not where the one before was left. No element is named like a place
    for (const link of $$(".places a")) {
      if (link.dataset.place === state.place) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (state.place === "chat") {
      state.conversation = conversation || "";
      state.attached = true;
      state.beginning = false;
      send("open", { conversation: state.conversation, find: state.find });
      send("kept");
    }
    if (state.place === "library") loadTable();
    if (["improve", "evaluate"].includes(state.place)) send(state.place);
    if (state.place === "search") {
      if (conversation === "like") moreLike(...more);
      else if (tile("search").like) send("detach", { where: "search" });
      if (!narrow()) $("[data-field=search]")?.focus();
    }
  }

  function go(hash) {
    if (location.hash === hash) route();
    else location.hash = hash;
  }

  // "#search/like/<chunk>/<document>/<number>": the pictures of the library that are like that one.
  function moreLike(like, document, number) {
    state.search.text = "";
    $("[data-field=search]").value = "";
    send("attach", { where: "search", like, document, number: Number(number) });
  }

  // The picture that a question or a search goes with, as its tile names it.
  function tile(where) {
    const { picture = "", like = "" } = $(`#tile-${where} .tile`)?.dataset || {};
    return { picture, like };
  }

  // --- after the server has redrawn something ----------------------------------------------------------------------

  function watch() {
    let due = 0;
    const redrawn = () => {
      due = 0;
      onThread();
      onTable();
      onTile();
      onMarked();
      onKept();
      for (const fold of $$("details[data-fold]")) fold.open = state.unfolded.has(fold.dataset.fold);
      for (const job of $$("#jobs-here .job")) job.hidden = state.done.has(job.dataset.job);
    };
    const soon = () => (due ||= setTimeout(redrawn, 16));
    new MutationObserver(soon).observe($(".gradio-container"), { childList: true, subtree: true, characterData: true });
    document.addEventListener("scroll", () => (state.attached = below() < SLACK), { passive: true, capture: true });
    redrawn();
  }

  const narrow = () => matchMedia("(max-width: 900px)").matches;
  const lastTurn = () => $("#live .turn") || $$("#thread .turn").pop();

  // How far the end of the conversation is below what can be seen. In narrow windows the sources come after it.
  function below() {
    const reading = $("#reading");
    const turn = lastTurn();
    if (!reading || !turn) return 0;
    if (!narrow()) return reading.scrollHeight - reading.clientHeight - reading.scrollTop;
    return turn.getBoundingClientRect().bottom - $("#writing").getBoundingClientRect().top;
  }

  function follow() {
    if (!state.attached || below() <= 0) return;
    if (narrow()) window.scrollBy(0, below());
    else $("#reading").scrollTop += below();
  }

  function onThread() {
    const live = $("#live .turn");
    const busy = Boolean(live && live.dataset.state !== "failed");
    document.body.classList.toggle("busy", busy);
    const shown = $("#thread .thread, #thread .welcome");
    const conversation = shown?.dataset.conversation || "";
    if (conversation && state.beginning) {
      state.beginning = false;
      state.conversation = conversation;
      history.replaceState(null, "", `#chat/${conversation}`);
    }
    document.body.classList.toggle("welcoming", Boolean($("#thread .welcome")));
    if (state.place === "chat") follow();
  }

  // A picture that was on its way is there, or was refused.
  function settle() {
    if (!state.attaching || !$(`#tile-${state.place} :is(.tile, .refused)`)) return;
    state.attaching = false;
    received();
  }

  // What is looked for has changed when another picture stands beside the field.
  let searchedWith = "";
  function onTile() {
    settle();
    $(".gallery-toggle")?.setAttribute("aria-pressed", String(document.body.classList.contains("gallery")));
    const { picture, like } = tile("search");
    if (picture + like === searchedWith) return;
    searchedWith = picture + like;
    if (!like && location.hash.startsWith("#search/like/")) history.replaceState(null, "", "#search");
    loadResults();
  }

  // Whose questions are kept to measure by: their buttons lead to them. What could not be kept is said once.
  let unkept = "";
  function onKept() {
    const told = $("#kept [data-kept]");
    if (!told) return;
    const names = new Set(told.dataset.kept.split(" "));
    for (const button of $$("[data-do=keep-question]")) {
      const kept = names.has(button.dataset.question);
      const words = kept ? "Kept as a test question" : "Keep as a test question";
      button.setAttribute("aria-pressed", String(kept));
      if (button.textContent !== words) $("span", button).textContent = words;
    }
    if (told.textContent && told.textContent !== unkept) announce(told.textContent);
    unkept = told.textContent;
  }

  function onTable() {
    const ids = $$("#table [data-pick]");
    for (const box of ids) if (box.dataset.pick !== "all") box.checked = state.picked.has(box.dataset.pick);
    const rows = ids.filter((box) => box.dataset.pick !== "all");
    const all = $("#table [data-pick=all]");
    if (all) all.checked = rows.length > 0 && rows.every((box) => box.checked);
    showPicked();
  }

  function showPicked() {
    const button = $("[data-do=remove]");
    if (!button) return;
    const number = state.picked.size;
    button.disabled = number === 0;
    button.querySelector("span").textContent = number ? `Remove ${number}` : "Remove";
  }

  // --- asking ----------------------------------------------------------------------------------------------------

  function ask(question, picture = "") {
    settle();
    if (isReceiving() || state.attaching) return announce("The picture is still on its way.");
    if (!(question.trim() || picture) || document.body.classList.contains("busy")) return;
    state.attached = true;
    for (const job of $$("#jobs-here .job-done, #jobs-here .job-stopped")) state.done.add(job.dataset.job);
    const field = $("#question");
    field.value = "";
    grow(field);
    state.beginning = !state.conversation; // the server names the new conversation
    send("ask", { conversation: state.conversation, question, picture, find: state.find });
    if (picture && picture === tile("chat").picture) send("detach", { where: "chat" });
  }

  const askWhatIsWritten = () => ask($("#question").value, tile("chat").picture);

  function grow(field) {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
  }

  function lastQuestion() {
    const turns = $$("#thread .turn, #live .turn");
    return turns.length ? turns[turns.length - 1].dataset.question : "";
  }

  // --- sources ---------------------------------------------------------------------------------------------------

  function openLink(link) {
    const list = link.closest(".cards, .results, table");
    const address = link.getAttribute("href");
    const beside = list ? $$("a[data-view]", list) : [];
    const links = new Map([...beside, link].map((other) => [other.getAttribute("href"), other]));
    const addresses = beside.map((other) => other.getAttribute("href"));
    openSource(address, addresses, (act, looked) => note(act, links.get(looked)));
  }

  function light(number, on) {
    for (const card of $$("#sources .card")) card.classList.toggle("lit", on && card.dataset.number === number);
    // A finger hovers as it taps: a page that moved then would be tapped elsewhere.
    if (on && matchMedia("(hover: hover)").matches) $("#sources .card.lit")?.scrollIntoView({ block: "nearest" });
  }

  function step(by) {
    const titles = $$("#sources .card .title");
    if (!titles.length) return;
    const here = titles.indexOf(document.activeElement);
    const next = here < 0 ? (by > 0 ? 0 : titles.length - 1) : Math.min(Math.max(here + by, 0), titles.length - 1);
    titles[next].focus();
    light(titles[next].closest(".card").dataset.number, true);
  }

  // --- what buttons do ---------------------------------------------------------------------------------------------

  const actions = {
    new: () => {
      go("#chat");
      $("#question").focus();
    },
    list: () => {
      const beside = matchMedia("(min-width: 1181px)").matches; // narrower, it lies over the conversation
      document.body.classList.toggle(beside ? "list-shut" : "list-open");
    },
    ask: (el) => ask(el.dataset.text),
    again: (el) => ask(el.dataset.text, el.dataset.picture),
    retry: (el) => {
      const { question, picture } = el.closest(".turn").dataset;
      ask(question, picture);
    },
    stop: () => send("stop", { conversation: state.conversation }),
    sources: (el) => {
      send("sources", { conversation: state.conversation, turn: Number(el.dataset.turn) });
      if (narrow()) $("#sources").scrollIntoView();
    },
    "search-for": (el) => {
      $("[data-field=search]").value = state.search.text = el.dataset.text;
      const { picture, like } = tile("search");
      if (picture || like) send("detach", { where: "search" }); // of an earlier search; without it this one begins
      else loadResults(true);
      go("#search");
    },
    copy: async (el) => {
      await navigator.clipboard.writeText(el.dataset.text);
      announce("Copied.");
      note("copy", el);
    },
    mark: (el) => {
      mark(el);
      knowMarks();
    },
    "know-marks": knowMarks,
    rename: async (el) => {
      const title = await inquire("Rename the conversation", "", "Rename", el.dataset.title);
      const { conversation } = el.dataset;
      if (title) send("rename", { conversation, title, current: state.conversation, find: state.find });
    },
    delete: async (el) => {
      const { conversation, title } = el.dataset;
      const sure = await inquire("Delete this conversation?", `“${title}” and its answers go, with your marks. Your documents stay.`, "Delete");
      if (!sure) return;
      const current = conversation === state.conversation ? "" : state.conversation;
      send("delete", { conversation, current, find: state.find });
      if (conversation === state.conversation) go("#chat");
    },
    choose: () => chooseFiles(),
    "choose-picture": (el) => choosePicture(el.dataset.where),
    detach: (el) => {
      send("detach", { where: el.dataset.where });
      $(el.dataset.where === "chat" ? "#question" : "[data-field=search]").focus({ preventScroll: true });
    },
    gallery: (el) => el.setAttribute("aria-pressed", String(document.body.classList.toggle("gallery"))),
    "pull-model": (el) => send("pull_model", { model: el.dataset.model }),
    "use-model": async (el) => {
      const { model, kind } = el.dataset;
      const words =
        kind === "embedder"
          ? "The whole library is embedded with it, beside what is there. You can search and ask meanwhile, and go back."
          : "It is used from the next start of the program.";
      if (await inquire(`Use ${model}?`, words, "Use")) send("use_model", { model });
    },
    "remove-model": async (el) => {
      const { model } = el.dataset;
      const words = "Its files are deleted. You can get it again while you are online.";
      if (await inquire(`Remove ${model}?`, words, "Remove")) send("remove_model", { model });
    },
    "find-servers": () => send("find_servers"),
    "roll-back": async (el) => {
      const words = "The library is searched with the model before, as soon as what changed since is embedded with it.";
      if (await inquire(`Go back to ${el.dataset.model}?`, words, "Roll back")) send("roll_back");
    },
    "stop-task": (el) => send("stop_task", { task: Number(el.dataset.task) }),
    "dismiss-task": (el) => send("dismiss_task", { task: Number(el.dataset.task) }),
    examine: () => send("examine"),
    train: (el) => begin("train", { tier: el.dataset.tier }),
    "train-anyway": async (el) => {
      const words = `${el.dataset.needs} It may learn little, or nothing that the gate lets pass.`;
      if (await inquire("Train it anyway?", words, "Train")) begin("train", { tier: el.dataset.tier });
    },
    "go-on": (el) => begin("go_on", { run: el.dataset.run }),
    "stop-run": (el) => send("stop_run", { run: el.dataset.run }),
    "delete-run": (el) => send("delete_run", { run: el.dataset.run }),
    judge: (el) => begin("judge", { name: el.dataset.name }),
    "draw-map": (el) => begin("draw_map", { name: el.dataset.name }),
    "run-lab": () => begin("run_lab"),
    swap: (el) => send("swap", { name: el.dataset.name }),
    "swap-anyway": async (el) => {
      const words = `${el.dataset.why}. The search may find less with it. One step leads back.`;
      if (await inquire("Use it anyway?", words, "Use it")) send("swap", { name: el.dataset.name, anyway: "yes" });
    },
    "roll-back-tuned": async (el) => {
      const words = "It takes a moment; nothing is embedded again. What was learnt is kept.";
      if (await inquire(`Go back to ${el.dataset.before}?`, words, "Roll back")) send("roll_back_tuned");
    },
    "keep-question": (el) => {
      if (el.getAttribute("aria-pressed") === "true") return go("#evaluate");
      send("keep_question", { conversation: state.conversation, turn: Number(el.dataset.turn) });
    },
    "evaluate-now": () => send("evaluate_now"),
    "stop-evaluation": () => send("stop_evaluation"),
    "edit-question": async (el) => {
      const { question, text } = el.dataset;
      const words = await inquire("What is asked", "", "Keep", text);
      if (words && words !== text) send("edit_question", { question, text: words });
    },
    "wrong-document": (el) => send("wrong_document", { question: el.dataset.question, document: el.dataset.document }),
    "pin-question": (el) => {
      const pinned = el.getAttribute("aria-pressed") === "true" ? "no" : "yes";
      send("pin_question", { question: el.dataset.question, pinned });
    },
    "remove-question": async (el) => {
      const { question, text } = el.dataset;
      if (await inquire("Remove this question?", `“${text}” is not asked any more.`, "Remove")) {
        send("remove_question", { question });
      }
    },
    "stop-job": (el) => send("stop_job", { job: Number(el.dataset.job) }),
    dismiss: (el) => send("dismiss", { job: Number(el.dataset.job) }),
    reread: (el) => send("reread", { file: el.dataset.file }),
    sort: (el) => {
      const view = state.library;
      view.down = view.column === el.dataset.column ? !view.down : false;
      view.column = el.dataset.column;
      loadTable();
    },
    more: () => {
      state.library.all = true;
      loadTable();
    },
    kind: (el) => {
      const view = el.dataset.field === "search" ? state.search : state.library;
      const { kind } = el.dataset;
      const on = !view.kinds.has(kind);
      if (on) view.kinds.add(kind);
      else view.kinds.delete(kind);
      el.setAttribute("aria-pressed", String(on));
      if (view === state.search) loadResults();
      else loadTable();
    },
    remove: async () => {
      const ids = [...state.picked];
      const what = ids.length === 1 ? "this document" : `these ${ids.length} documents`;
      const words = "They leave the index, with what was attached to them. The files on your disk are not touched.";
      if (!(await inquire(`Remove ${what}?`, words, "Remove"))) return;
      state.picked.clear();
      showPicked();
      send("remove", { ids });
    },
  };

  // --- events of the document --------------------------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-open]");
    const apart = link || event.target.closest("a.original");
    if (apart && (apart !== link || event.ctrlKey || event.metaKey || event.shiftKey)) note("open", apart);
    if (link && !(event.ctrlKey || event.metaKey || event.shiftKey)) {
      event.preventDefault();
      openLink(link);
      return;
    }
    const here = event.target.closest(".conversations a, .places a, a.brand");
    if (here && here.getAttribute("href") === location.hash) {
      event.preventDefault();
      route();
    }
    const button = event.target.closest("[data-do]");
    if (button && !button.disabled) actions[button.dataset.do]?.(button);
  });

  document.addEventListener(
    "toggle",
    ({ target }) => {
      if (!target.matches?.("details[data-fold]")) return;
      if (target.open) state.unfolded.add(target.dataset.fold);
      else state.unfolded.delete(target.dataset.fold);
    },
    true, // it does not bubble
  );

  document.addEventListener("submit", (event) => {
    if (event.target.matches(".composer")) {
      event.preventDefault();
      askWhatIsWritten();
    } else if (event.target.matches(".search-form")) {
      event.preventDefault();
      clearTimeout(typing);
      loadResults(true);
    }
  });

  let typing = 0;
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (field.id === "question") grow(field);
    const loads = { find: loadList, filter: loadTable, search: loadResults };
    const load = loads[field.dataset?.field];
    if (!load) return;
    if (field.dataset.field === "find") state.find = field.value;
    if (field.dataset.field === "filter") state.library.text = field.value;
    if (field.dataset.field === "search") state.search.text = field.value;
    clearTimeout(typing);
    typing = setTimeout(load, field.dataset.field === "search" ? 350 : 60);
  });

  document.addEventListener("change", (event) => {
    const { pick } = event.target.dataset || {};
    if (!pick) return;
    const chosen = pick === "all" ? $$("#table [data-pick]").filter((box) => box.dataset.pick !== "all") : [event.target];
    for (const box of chosen) {
      box.checked = event.target.checked;
      if (box.checked) state.picked.add(box.dataset.pick);
      else state.picked.delete(box.dataset.pick);
    }
    onTable();
  });

  for (const [enter, on] of [["mouseover", true], ["mouseout", false], ["focusin", true], ["focusout", false]]) {
    document.addEventListener(enter, (event) => {
      const chip = event.target.closest?.(".cite");
      if (chip) light(chip.dataset.number, on);
    });
  }

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const field = $("#question");
    const writing = event.target.matches("input, textarea");
    if (event.key === "Escape") {
      if (document.body.classList.contains("busy")) actions.stop();
      document.body.classList.remove("list-open");
      if (event.target.matches(".flag")) event.target.blur(); // hides the reason
    } else if (event.target === field) {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        askWhatIsWritten();
      } else if (event.key === "ArrowUp" && !field.value) {
        event.preventDefault();
        field.value = lastQuestion();
        grow(field);
      }
    } else if (!writing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      if (event.key === "/") {
        event.preventDefault();
        (state.place === "search" ? $("[data-field=search]") : state.place === "library" ? $("[data-field=filter]") : field).focus();
      } else if (event.key === "j") step(1);
      else if (event.key === "k") step(-1);
    }
  });

  window.commonplace.connect = connect;
})();

"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const study = JSON.parse(at("study").textContent);
  const store = `countenance-study-${study.id}`;
  const pairs = study.kind === "pairs";
  const screens = ["welcome", "item", "end"].map(at);

  let state = recalled() || fresh();
  let order = drawn(state.seed);
  let since = null; // when the clock of this item was last started, ms
  const player = makePlayer(study, at, say);

  // --- what is kept -------------------------------------------------------------------------------------------

  function fresh() {
    const numbers = crypto.getRandomValues(new Uint32Array(3));
    const hex = [...numbers.slice(0, 2)].map((n) => n.toString(16).padStart(8, "0")).join("");
    return { participant: `p-${hex}`, seed: numbers[2], index: -1, ended: false, saved: false, answers: {}, spent: {} };
  }

  function recalled() {
    try {
      const kept = JSON.parse(localStorage.getItem(store));
      return kept && kept.participant && kept.answers && kept.spent && kept.index < study.items.length ? kept : null;
    } catch {
      return null;
    }
  }

  function keep() {
    try {
      localStorage.setItem(store, JSON.stringify(state));
    } catch {
      say("This browser keeps nothing: please do not reload or close this page before the end.");
    }
  }

  // --- a participant's own order, the same for the same seed ---------------------------------------------------

  function chance(seed) {
    let a = seed >>> 0; // mulberry32
    return () => {
      a = (a + 0x6d2b79f5) | 0;
      let t = Math.imul(a ^ (a >>> 15), 1 | a);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  function shuffled(list, random) {
    const mixed = [...list];
    for (let i = mixed.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
    }
    return mixed;
  }

  function drawn(seed) {
    const random = chance(seed);
    const items = shuffled(study.items, random);
    const odd = random() < 0.5 ? 1 : 0;
    const turned = shuffled(items.map((_, i) => (i + odd) % 2 === 1), random); // half of the pairs change sides
    return items.map((item, i) => ({ id: item.id, clips: turned[i] ? [...item.clips].reverse() : item.clips }));
  }

  // --- questions ----------------------------------------------------------------------------------------------

  function choices() {
    if (pairs) return [["left", "Left", "Left"], ["right", "Right", "Right"]];
    const ends = { 1: ", worst", 5: ", best" };
    return ["1", "2", "3", "4", "5"].map((n) => [n, n, n + (ends[n] || "")]);
  }

  function makeQuestion(question) {
    const field = document.createElement("fieldset");
    const legend = document.createElement("legend");
    const options = document.createElement("div");
    field.dataset.question = question.id;
    legend.textContent = question.text;
    options.className = "options";
    for (const [value, shown, spoken] of choices()) {
      const option = document.createElement("label");
      const radio = document.createElement("input");
      const text = document.createElement("span");
      option.className = "option";
      Object.assign(radio, { type: "radio", name: question.id, value, checked: given(question.id) === value });
      radio.setAttribute("aria-label", spoken);
      radio.addEventListener("change", () => answer(question.id, value));
      text.textContent = shown;
      option.append(radio, text);
      options.append(option);
    }
    field.append(legend, options);
    return field;
  }

  function answersHere() {
    return state.answers[order[state.index].id] || {};
  }

  function given(question) {
    return (answersHere()[question] || {}).answer;
  }

  function answer(question, value) {
    const id = order[state.index].id;
    clock();
    state.answers[id] = { ...answersHere(), [question]: { answer: value, ms: Math.round(state.spent[id]) } };
    state.saved = false;
    say("");
    keep();
  }

  function unanswered() {
    return study.questions.find((question) => !given(question.id));
  }

  function field(question) {
    return [...at("fields").children].find((child) => child.dataset.question === question.id);
  }

  /** Time on this item so far, without the time in which the page was hidden. */
  function clock(stop = false) {
    if (since === null) return;
    const now = performance.now();
    const id = order[state.index].id;
    state.spent[id] = (state.spent[id] || 0) + now - since;
    since = stop ? null : now;
  }

  // --- screens ------------------------------------------------------------------------------------------------

  function say(text) {
    at("message").textContent = text;
  }

  function show(name, heading) {
    screens.forEach((screen) => (screen.hidden = screen.id !== name));
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }

  function showItem() {
    const item = order[state.index];
    since = document.hidden ? null : performance.now();
    at("fields").replaceChildren(...study.questions.map(makeQuestion));
    at("where").textContent = `${state.index + 1} of ${order.length}`;
    at("progress").max = order.length;
    at("progress").value = state.index + 1;
    at("back").disabled = state.index === 0;
    at("next").textContent = state.index === order.length - 1 ? "Finish" : "Next";
    show("item", at("where"));
    player.show(item.clips);
  }

  function go(step) {
    const missing = step > 0 && unanswered();
    if (missing) {
      say(study.questions.length > 1 ? "Please answer every question first." : "Please choose first.");
      field(missing).querySelector("input").focus();
      return;
    }
    if (state.index + step < 0) return;
    clock(true);
    say("");
    state.ended = state.index + step >= order.length;
    if (!state.ended) state.index += step;
    keep();
    if (state.ended) showEnd();
    else showItem();
  }

  function showEnd() {
    player.clear();
    const done = order.filter((item) => study.questions.every(({ id }) => (state.answers[item.id] || {})[id])).length;
    at("end-heading").textContent = done === order.length ? "Thank you" : "Stopped";
    at("count").textContent = done === order.length
      ? `You answered all ${order.length}.`
      : `You answered ${done} of ${order.length}. You may go on, hand over what there is, or delete it.`;
    at("number").textContent = state.participant;
    at("sheet").value = sheet();
    show("end", at("end-heading"));
  }

  function sheet() {
    const rows = [["study", "kind", "participant", "seed", "position", "item", "question", "left", "right", "answer", "ms"]];
    order.forEach((item, i) => {
      const answers = state.answers[item.id] || {};
      for (const { id } of study.questions.filter((question) => answers[question.id])) {
        const { answer: value, ms } = answers[id];
        rows.push([study.id, study.kind, state.participant, state.seed, i + 1, item.id, id, item.clips[0],
          item.clips[1] || "", value, ms]);
      }
    });
    return rows.map((row) => row.join(",") + "\r\n").join("");
  }

  function download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([sheet()], { type: "text/csv" }));
    link.download = `answers-${study.id}-${state.participant}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    state.saved = true;
    keep();
    say(`Saved as ${link.download}, where your browser puts downloads.`);
  }

  function forget() {
    const answered = Object.keys(state.answers).length && !state.saved;
    const question = answered ? "These answers were not downloaded. Delete them?" : "Delete the answers from this browser?";
    if (!confirm(question)) return;
    try {
      localStorage.removeItem(store);
    } catch { /* nothing was kept */ }
    state = fresh();
    order = drawn(state.seed);
    at("agree").checked = false;
    say("The answers were deleted.");
    show("welcome", at("welcome-heading"));
  }

  function begin() {
    if (!at("agree").checked) {
      say("Please tick that you agree to take part; or close this page.");
      at("agree").focus();
      return;
    }
    state.index = 0;
    say("");
    keep();
    showItem();
  }

  // --- keys: arrows or digits choose, Enter goes on, Backspace back, Space plays ------------------------------------

  function choose(value) {
    const focused = document.activeElement.closest("fieldset");
    const target = focused || field(unanswered() || study.questions[study.questions.length - 1]);
    const radio = [...target.querySelectorAll("input")].find((input) => input.value === value);
    const next = target.nextElementSibling;
    radio.checked = true;
    answer(radio.name, value);
    (next ? next.querySelector("input:checked") || next.querySelector("input") : radio).focus();
  }

  function pressed(event) {
    if (at("item").hidden || event.ctrlKey || event.altKey || event.metaKey) return;
    const onButton = event.target.tagName === "BUTTON";
    const unchecked = event.target.type === "radio" && !event.target.checked; // Space chooses it, as ever
    const value = pairs ? { ArrowLeft: "left", ArrowRight: "right" }[event.key] : /^[1-5]$/.test(event.key) && event.key;
    if (value) choose(value);
    else if (event.key === "Enter" && !onButton) go(1);
    else if (event.key === "Backspace") go(-1);
    else if (event.key === " " && !onButton && !unchecked) player.toggle();
    else return;
    event.preventDefault();
  }

  function introduce() {
    const what = pairs ? `${study.items.length} pairs of short videos` : `${study.items.length} short videos`;
    const doing = pairs ? "and choose one of each pair" : "and rate each from 1 (worst) to 5 (best)";
    const loud = study.sound ? " They have sound: please use loudspeakers or headphones." : "";
    at("task").textContent = `You will watch ${what} ${doing}. This takes about ${study.minutes} min.${loud}`;
    at("synthetic").textContent = study.mixed
      ? "Some videos are real recordings. In the others software moved or made the face: nobody did or said what they show."
      : "In these videos software moved or made the face: nobody did or said what they show.";
    at("keys").textContent = `With a keyboard: ${pairs ? "the left and right arrow choose" : "1 to 5 rate"}, ` +
      "Enter goes on, Backspace goes back, Space plays or stops.";
    at("notice").textContent = study.notice;
    document.querySelector(".contact").hidden = !study.contact;
    document.querySelector(".contact span").textContent = study.contact;
    at("hand-over").textContent = study.contact ? ` and send it to ${study.contact}` : " and give it to those who asked you";
  }

  at("item").className = study.kind;
  at("scale").hidden = pairs;
  introduce();
  at("begin").addEventListener("click", begin);
  at("back").addEventListener("click", () => go(-1));
  at("next").addEventListener("click", () => go(1));
  at("play").addEventListener("click", player.toggle);
  at("stop").addEventListener("click", () => {
    clock(true);
    state.ended = true;
    say("");
    keep();
    showEnd();
  });
  at("resume").addEventListener("click", () => {
    state.ended = false;
    say("");
    keep();
    showItem();
  });
  at("download").addEventListener("click", download);
  at("delete").addEventListener("click", forget);
  document.addEventListener("keydown", pressed);
  document.addEventListener("visibilitychange", () => {
    if (at("item").hidden) return;
    if (document.hidden) clock(true);
    else since = performance.now();
    keep();
  });
  if (state.index >= 0) {
    if (state.ended) showEnd();
    else showItem();
    say("Welcome back: your answers are kept.");
  }
})();

"use strict";
/** Shows the one or two videos of an item. Silent ones go round, both of a pair in step; with sound each plays once. */
function makePlayer(study, at, say) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const pairs = study.kind === "pairs";
  const oneByOne = pairs && study.sound;
  let clips = []; // {video, figure}
  let urls = [];
  let queue = []; // what plays after the one that plays now

  function clipUrl(id) {
    const text = atob(at(id).textContent.trim());
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })); // phones don't play long data: addresses
    urls.push(url);
    return url;
  }

  function makeClip(id, name) {
    const figure = document.createElement("figure");
    const video = document.createElement("video");
    video.playsInline = true;
    video.muted = !study.sound;
    video.preload = "auto";
    video.disablePictureInPicture = true;
    video.setAttribute("aria-label", name);
    video.addEventListener("contextmenu", (event) => event.preventDefault());
    video.addEventListener("ended", ended);
    video.addEventListener("error", () => {
      if (all().includes(video)) say("This video does not play in this browser; please try another.");
    });
    for (const change of ["play", "pause"]) video.addEventListener(change, label);
    video.addEventListener("click", () => (oneByOne ? start([video]) : toggle()));
    video.src = clipUrl(id);
    figure.append(video);
    return { video, figure };
  }

  function all() {
    return clips.map(({ video }) => video);
  }

  function play(videos) {
    videos.forEach((video) => video.play().catch(label)); // some browsers wait for a tap on Play
  }

  function start(videos) {
    const first = oneByOne ? videos.slice(0, 1) : videos;
    queue = videos.slice(first.length);
    clips.forEach(({ video, figure }) => {
      if (oneByOne) video.pause();
      figure.classList.toggle("waiting", !first.includes(video));
    });
    first.forEach((video) => (video.currentTime = 0));
    play(first);
  }

  function ended() {
    if (queue.length) {
      start(queue);
      return;
    }
    clips.forEach(({ figure }) => figure.classList.remove("waiting"));
    if (!study.sound && !calm && all().every((video) => video.ended)) start(all());
    label();
  }

  function toggle() {
    const playing = all().filter((video) => !video.paused && !video.ended);
    const halfway = all().filter((video) => video.paused && !video.ended && video.currentTime > 0);
    if (playing.length) playing.forEach((video) => video.pause());
    else if (halfway.length) play(oneByOne ? halfway.slice(0, 1) : halfway);
    else start(all());
  }

  function label() {
    const playing = all().some((video) => !video.paused && !video.ended);
    at("play").textContent = playing ? "Pause" : all().some((video) => video.ended) ? "Play again" : "Play";
  }

  function clear() {
    at("stage").replaceChildren();
    all().forEach((video) => video.pause());
    urls.forEach((url) => URL.revokeObjectURL(url));
    [clips, urls, queue] = [[], [], []];
  }

  function show(ids) {
    clear();
    const shown = ids.map((id, i) => makeClip(id, pairs ? ["Left video", "Right video"][i] : "Video"));
    clips = shown;
    at("stage").className = pairs ? "double" : "single";
    at("stage").replaceChildren(...clips.map(({ figure }) => figure));
    label();
    const ready = all().map((video) => new Promise((done) => video.addEventListener("canplay", done, { once: true })));
    const patience = new Promise((done) => setTimeout(done, 2000)); // some phones load only what was told to play
    Promise.race([Promise.all(ready), patience]).then(() => !calm && clips === shown && start(all())); // both at once
  }

  return { show, clear, toggle };
}

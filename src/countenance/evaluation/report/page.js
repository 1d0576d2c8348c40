"use strict";
// Sorts the cases by a metric of a model, and shows its values. Without this, the page shows the first order.
(() => {
  const told = JSON.parse(document.getElementById("told").textContent);
  const choice = document.getElementById("choice");

  // As tables.py writes numbers.
  const written = (value) => {
    const size = Math.abs(value);
    return value.toFixed(size >= 100 ? 0 : size >= 10 ? 2 : 3);
  };

  const worstFirst = (metric, model) => {
    const sign = told.metrics[metric][1] === "low" ? -1 : 1;
    const valueOf = (index) => told.values[index][model]?.[metric] ?? null;
    return told.values.map((_, index) => index).sort((a, b) => {
      const x = valueOf(a), y = valueOf(b);
      return told.troubles[b][model] - told.troubles[a][model]
        || (x === null) - (y === null)
        || sign * (x - y)
        || a - b;
    });
  };

  const show = () => {
    const metricBox = document.getElementById("metric"), modelBox = document.getElementById("model");
    const metric = told.metrics.findIndex(([name]) => name === metricBox.value);
    const model = Number(modelBox.value);
    for (const span of document.querySelectorAll(".value")) {
      const values = told.values[Number(span.dataset.case)][Number(span.dataset.model)];
      if (values) span.textContent = values[metric] === null ? "–" : written(values[metric]);
    }
    const rank = new Map(worstFirst(metric, model).map((index, place) => [String(index), place]));
    for (const parent of [document.querySelector("#table tbody"), document.getElementById("cards")]) {
      const parts = [...parent.children].sort((a, b) => rank.get(a.dataset.case) - rank.get(b.dataset.case));
      parent.append(...parts);
    }
    document.getElementById("order").textContent =
      `Values are ${metricBox.selectedOptions[0].text}; the worst of ${told.models[model]} first.`;
    play(); // a video that is moved within the page stops
  };

  const videos = [...document.querySelectorAll("video")];
  const button = document.getElementById("moving");
  let moving = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  const play = () => {
    for (const video of videos) {
      if (moving) video.play().catch(() => {});
      else video.pause();
    }
    if (button) button.textContent = moving ? "Pause videos" : "Play videos";
  };

  for (const video of videos) {
    // Some phones play no video out of a data URI.
    const bytes = Uint8Array.from(atob(video.src.slice(video.src.indexOf(",") + 1)), (c) => c.charCodeAt(0));
    video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    video.controls = false; // they would cover so small a picture
    video.addEventListener("click", () => (video.paused ? video.play().catch(() => {}) : video.pause()));
  }
  button?.addEventListener("click", () => {
    moving = !moving;
    play();
  });
  play();
  if (choice) {
    choice.hidden = false;
    choice.addEventListener("change", show);
  }
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details.print-open")) part.open = true;
  });
})();

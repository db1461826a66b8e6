// Members per day with who joined and left below it. Colours come from the page, so that light and dark both fit.
(() => {
  const draw = (place) => {
    const data = JSON.parse(document.getElementById(place.dataset.trend).textContent);
    const style = getComputedStyle(document.body);
    const colour = (name) => style.getPropertyValue(name).trim();
    const probe = document.createElement("span");
    place.append(probe);
    const resolved = (name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    };
    const [primary, green, red, grey, line] = ["--tblr-primary", "--tblr-green", "--tblr-red", "--tblr-secondary", "--tblr-border-color"].map(resolved);
    probe.remove();
    const chart = echarts.getInstanceByDom(place) ?? echarts.init(place, null, { renderer: "svg" });
    const axis = { axisLine: { lineStyle: { color: line } }, axisLabel: { color: grey, fontSize: 10 }, splitLine: { show: false } };
    const emphasis = { disabled: true }; // the chart cannot mix a colour written as oklch(): what is hovered would vanish
    chart.setOption({
      animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      textStyle: { fontFamily: colour("--tblr-body-font-family") || "sans-serif" },
      tooltip: { trigger: "axis", renderMode: "richText", confine: true },
      grid: [
        { left: 44, right: 8, top: 10, height: 90 },
        { left: 44, right: 8, top: 112, height: 34 },
      ],
      xAxis: [
        { type: "category", data: data.days, gridIndex: 0, ...axis, axisLabel: { show: false }, axisTick: { show: false } },
        { type: "category", data: data.days, gridIndex: 1, ...axis, axisTick: { show: false } },
      ],
      yAxis: [
        { type: "value", gridIndex: 0, minInterval: 1, scale: true, splitNumber: 3, ...axis },
        { type: "value", gridIndex: 1, minInterval: 1, splitNumber: 1, ...axis, axisLabel: { show: false } },
      ],
      series: [
        { name: data.words.members, type: "line", step: "end", showSymbol: false, data: data.members, color: primary, emphasis, areaStyle: { opacity: 0.12 } },
        { name: data.words.joined, type: "bar", stack: "moves", xAxisIndex: 1, yAxisIndex: 1, data: data.joined, color: green, emphasis },
        { name: data.words.left, type: "bar", stack: "moves", xAxisIndex: 1, yAxisIndex: 1, data: data.left, color: red, emphasis },
      ],
    }, true);
    // A day opens the people who joined or left on it.
    chart.off("click");
    chart.on("click", (point) => {
      const which = ["members", "joined", "left"][point.seriesIndex];
      if (which === "members") return;
      location.assign(`${data.address}?which=${which}&from=${point.name}&to=${point.name}#segment-members`);
    });
  };
  const places = document.querySelectorAll("[data-trend]");
  places.forEach((place) => {
    draw(place);
    new ResizeObserver(() => echarts.getInstanceByDom(place)?.resize()).observe(place);
  });
  document.addEventListener("ripen:theme", () => places.forEach(draw));
})();

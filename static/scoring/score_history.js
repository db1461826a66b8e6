// A contact's total over time as steps; hovering one shows the ledger rows of it. A second line comes when it was worked out.
(() => {
  // As rgb(): the chart mixes colours for what is hovered, and a line whose colour it cannot read would vanish.
  const pencil = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const resolved = (place, name) => {
    const probe = document.createElement("span");
    place.append(probe);
    probe.style.color = `var(${name})`;
    const colour = getComputedStyle(probe).color;
    probe.remove();
    pencil.clearRect(0, 0, 1, 1);
    pencil.fillStyle = colour;
    pencil.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pencil.getImageData(0, 0, 1, 1).data;
    return `rgba(${red}, ${green}, ${blue}, ${alpha / 255})`;
  };
  const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
  const series = (name, stops, colour, more) => ({
    name,
    type: "line",
    step: "end",
    symbolSize: 6,
    data: stops.map((stop) => ({ value: [stop.at, stop.total], rows: stop.rows })),
    itemStyle: { color: colour },
    lineStyle: { color: colour, width: 2 },
    ...more,
  });
  const told = (items) => items.map((item) => {
    const rows = (item.data.rows ?? []).map((row) => `\n   ${row}`).join("");
    return `${item.seriesName}: ${item.data.value[1]}${rows}`;
  });
  const draw = (place) => {
    const data = read("score-history-data");
    const today = read("score-today-data");
    const [primary, orange, red, grey, line] = ["--tblr-primary", "--tblr-orange", "--tblr-red", "--tblr-secondary", "--tblr-border-color"].map((name) => resolved(place, name));
    const chart = echarts.getInstanceByDom(place) ?? echarts.init(place, null, { renderer: "svg" });
    const axis = { axisLine: { lineStyle: { color: line } }, axisLabel: { color: grey, fontSize: 11 }, splitLine: { lineStyle: { color: line, opacity: 0.5 } } };
    const marks = [
      ...(data.line === null ? [] : [{ yAxis: data.line, lineStyle: { color: red, type: "dashed" }, label: { formatter: data.words.line, position: "end" } }]),
      ...(data.moment === null ? [] : [{ xAxis: data.moment, lineStyle: { color: grey, type: "solid" }, label: { show: false } }]),
    ];
    const marked = {
      markLine: { silent: true, symbol: "none", data: marks, label: { color: grey, fontSize: 11 } },
    };
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      tooltip: {
        trigger: "axis",
        renderMode: "richText",
        confine: true,
        formatter: (items) => [new Date(items[0].data.value[0]).toLocaleString(document.documentElement.lang || undefined), ...told(items)].join("\n"),
      },
      legend: { show: today !== null, top: 0, textStyle: { color: grey } },
      grid: { left: 44, right: data.line === null ? 12 : 62, top: today === null ? 12 : 34, bottom: 26 },
      xAxis: { type: "time", ...axis, splitLine: { show: false } },
      yAxis: { type: "value", ...axis, max: (range) => Math.max(range.max, data.line ?? 0) },
      series: [
        series(data.words.was, data.stops, primary, { areaStyle: { color: primary, opacity: 0.08 }, ...marked }),
        ...(today === null ? [] : [series(data.words.today, today, orange, { showSymbol: false, lineStyle: { color: orange, width: 2, type: "dotted" } })]),
      ],
    }, true);
  };
  const place = document.querySelector("[data-score-history]");
  if (place === null) return;
  draw(place);
  new ResizeObserver(() => echarts.getInstanceByDom(place)?.resize()).observe(place);
  document.addEventListener("ripen:theme", () => draw(place));
  document.addEventListener("htmx:afterSwap", () => draw(place));
})();

// A slider beside each number: without it the number alone does. Its scale is logarithmic, for rows are.
for (const box of document.querySelectorAll(".number[data-low]")) {
  const number = box.querySelector("input[type=number]");
  const low = Math.log(Number(box.dataset.low)), high = Math.log(Number(box.dataset.high));
  const whole = !number.step.includes(".");
  const slider = document.createElement("input");
  slider.type = "range";
  slider.min = "0";
  slider.max = "1000";
  slider.setAttribute("aria-label", box.querySelector("label").textContent + ", slider");
  const place = () => {
    const share = (Math.log(Math.max(Number(number.value) || 1, 0.001)) - low) / (high - low);
    slider.value = String(Math.round(1000 * Math.min(1, Math.max(0, share))));
    slider.setAttribute("aria-valuetext", number.value);
  };
  const rounded = (value) => {
    if (!whole) return value.toFixed(1);
    const unit = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 1);
    return String(Math.round(value / unit) * unit);
  };
  slider.addEventListener("input", () => {
    number.value = rounded(Math.exp(low + (high - low) * Number(slider.value) / 1000));
    slider.setAttribute("aria-valuetext", number.value);
  });
  number.addEventListener("input", place);
  number.after(slider);
  place();
}

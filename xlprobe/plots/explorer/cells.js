// A cell of a csv file, quoted where needed; one that begins like a formula is text for a spreadsheet too.
const csvCell = (value) => {
  const words = String(value);
  return /[",\n\r]|^[=+@]|^-(?![\d.–])/.test(words) ? `"${words.replace(/^([=+@-])/, "'$1").replace(/"/g, '""')}"` : words;
};

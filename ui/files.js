// Files on their way in: chosen, pasted or dropped. A picture in the question or the search field is asked with; every
// other file goes into the library. What is being dragged sees both places before it is let go.
"use strict";

window.commonplace = window.commonplace || {};

(() => {
  const { announce } = window.commonplace;
  const PICTURE = /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|bmp|avif|hei[cf]|svg)$/i;
  let send = () => {};
  let upload = null;
  let wake = () => {};
  let receiving = 0; // pictures to ask with that are still on their way to the server
  let afterwards = ""; // what is said once the picture has come

  const isPicture = (file) => file.type.startsWith("image/") || PICTURE.test(file.name);
  const askingPlace = () => ({ chat: "chat", search: "search" })[document.body.dataset.place];

  // --- into the library --------------------------------------------------------------------------------------------

  async function adopt(files) {
    if (!files.length || !upload) return;
    announce(`Receiving ${files.length === 1 ? files[0].name : `${files.length} files`}…`);
    const paths = [];
    for (const file of files) {
      try {
        paths.push((await upload(file)).path);
      } catch {
        announce(`${file.name} could not be received: it may be larger than the limit in the settings.`, true);
      }
    }
    if (paths.length) send("adopt", { files: paths });
    wake();
    if (paths.length === files.length) announce("");
  }

  // --- beside the question -----------------------------------------------------------------------------------------

  async function askWith(files, where) {
    const picture = files.find(isPicture);
    if (!picture || !upload) {
      announce("That is not a picture. Drop other files beside the field to add them to your library.", true);
      return;
    }
    const limit = Number(document.querySelector(".composer").dataset.limit);
    if (picture.size > limit * 2 ** 20) {
      announce(`${picture.name} is larger than ${limit} MB, which is the limit in the settings.`, true);
      return;
    }
    afterwards = files.length > 1 ? `One picture can be asked with at a time: ${picture.name} was taken.` : "";
    announce("Looking at the picture…", true);
    receiving += 1;
    try {
      send("attach", { where, file: (await upload(picture)).path });
    } catch {
      announce(`${picture.name} could not be received. Is the server still running?`, true);
    } finally {
      receiving -= 1;
    }
    document.querySelector(where === "chat" ? "#question" : "[data-field=search]")?.focus({ preventScroll: true });
  }

  // --- choosing ----------------------------------------------------------------------------------------------------

  function chooser(label, use) {
    const input = Object.assign(document.createElement("input"), { type: "file", hidden: true });
    input.setAttribute("aria-label", label);
    input.addEventListener("change", () => {
      use([...input.files]);
      input.value = "";
    });
    document.body.append(input);
    return input;
  }

  const anyFiles = chooser("Files to add", adopt);
  anyFiles.multiple = true;
  const onePicture = chooser("A picture to ask with", (files) => files.length && askWith(files, onePicture.dataset.where));
  onePicture.accept = "image/*,.heic,.heif,.avif,.svg,.tif,.tiff";

  function choosePicture(where) {
    onePicture.dataset.where = where;
    onePicture.click();
  }

  // --- pasting -----------------------------------------------------------------------------------------------------

  document.addEventListener("paste", (event) => {
    const data = event.clipboardData;
    const files = [...(data?.files || [])];
    const written = data?.getData("text/plain") && data.getData("text/html"); // words that also come as a drawing
    if (!files.length || written) return;
    event.preventDefault();
    const where = askingPlace();
    if (where && files.every(isPicture)) askWith(files, where);
    else adopt(files);
  });

  // --- dropping ----------------------------------------------------------------------------------------------------

  let inside = 0;
  const hasFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  const asks = (event) => event.target.closest?.(".asks");

  function over(field) {
    for (const other of document.querySelectorAll(".asks")) other.classList.toggle("over", other === field);
  }

  function dropped() {
    inside = 0;
    document.body.classList.remove("dropping", "dropping-picture");
    over(null);
  }

  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    inside += 1;
    const files = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    document.body.classList.add("dropping");
    document.body.classList.toggle("dropping-picture", files.every((item) => item.type.startsWith("image/")));
  });
  document.addEventListener("dragleave", (event) => {
    if (hasFiles(event) && --inside <= 0) dropped();
  });
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    over(asks(event));
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    const field = asks(event);
    const files = [...event.dataTransfer.files];
    dropped();
    if (field && files.every(isPicture)) askWith(files, field.dataset.where);
    else adopt(files);
  });

  // --- what page.js calls ------------------------------------------------------------------------------------------

  function connectFiles(sender, uploader, waker) {
    [send, upload, wake] = [sender, uploader, waker];
  }

  Object.assign(window.commonplace, {
    connectFiles,
    choosePicture,
    chooseFiles: () => anyFiles.click(),
    isReceiving: () => receiving > 0,
    received: () => announce(afterwards),
  });
})();

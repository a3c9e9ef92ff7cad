// Uploads a file with `tus-js-client`, and goes on where an earlier run of this program was killed.
//
// node tus.js ENDPOINT FILE NOTES, with the token in the environment variable OVERAIR_TOKEN. NOTES is a file in which the
// client remembers its uploads. Prints `resumed`, `at BYTES` now and then, and `done URL`.
import fs from "node:fs";
import * as tus from "tus-js-client";

const [endpoint, file, notes] = process.argv.slice(2);

const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint,
  headers: { Authorization: `Bearer ${process.env.OVERAIR_TOKEN}` },
  uploadSize: fs.statSync(file).size,
  metadata: { filename: "image.bin" },
  urlStorage: new tus.FileUrlStorage(notes),
  retryDelays: [500, 1000, 2000, 4000, 8000, 8000, 8000],
  onProgress: (sent) => console.log(`at ${sent}`),
  onSuccess: () => console.log(`done ${upload.url}`),
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
});

const [previous] = await upload.findPreviousUploads();
if (previous) {
  upload.resumeFromPreviousUpload(previous);
  console.log("resumed");
}
upload.start();

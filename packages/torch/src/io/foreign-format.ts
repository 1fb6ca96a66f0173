// Names what a file is when it is not what it should be, from its first bytes: the usual mix-ups of checkpoint files.
// Not here: reading any of these formats.

/** Bytes from the start of the file that `foreignFormat` wants to see. */
export const SNIFF_BYTES = 512;

/** `is` completes "this is …", `advice` says what to do. */
export type ForeignFormat = { readonly is: string; readonly advice: string };

/** Re-saves any checkpoint that Python's torch still reads as a zip archive, without running code from it. */
export const CONVERT_COMMAND =
  'python3 -c "import torch,sys; torch.save(torch.load(sys.argv[1], map_location=\'cpu\', weights_only=True), sys.argv[2])" OLD.pth NEW.pth';

type Probe = ForeignFormat & { readonly matches: (head: Uint8Array) => boolean };

const LEGACY_MAGIC = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

const PROBES: readonly Probe[] = [
  {
    is: 'a zip archive, such as a .pth or .pt checkpoint of torch 1.6 or later',
    advice: 'read it with readStateDict',
    matches: startsWith([0x50, 0x4b, 0x03, 0x04]),
  },
  {
    is: 'a checkpoint in the format of torch before 1.6 (a row of bare pickles, not a zip archive)',
    advice: `convert it once with: ${CONVERT_COMMAND}`,
    matches: startsWith(LEGACY_MAGIC),
  },
  {
    is: 'a tar archive, the checkpoint format of torch before 0.2',
    advice: `convert it once with: ${CONVERT_COMMAND}`,
    matches: (head) => asLatin1(head.subarray(257, 262)) === 'ustar',
  },
  {
    is: 'a bare Python pickle, not a zip archive',
    advice: `if torch wrote it, convert it once with: ${CONVERT_COMMAND}`,
    matches: (head) => head[0] === 0x80 && head[1] !== undefined && head[1] <= 5,
  },
  {
    is: 'a Git LFS pointer, not the file itself',
    advice: 'fetch the file itself with: git lfs pull',
    matches: (head) => asLatin1(head).startsWith('version https://git-lfs'),
  },
  {
    is: 'a web page, probably a login or error page that was saved instead of the file',
    advice: 'download the file again',
    matches: (head) => /^\s*<(!doctype|html|\?xml)/i.test(asLatin1(head)),
  },
  {
    is: 'gzip-compressed',
    advice: 'unpack it first with: gunzip',
    matches: startsWith([0x1f, 0x8b]),
  },
  {
    is: 'an HDF5 file',
    advice: 'convert it to safetensors where it was made',
    matches: startsWith([0x89, 0x48, 0x44, 0x46]),
  },
  {
    is: 'a safetensors file',
    advice: 'read it with readSafetensors',
    matches: (head) => head[8] === 0x7b && head.subarray(4, 8).every((byte) => byte === 0),
  },
];

/** What the file looks like, or `undefined` when the first bytes tell nothing. */
export function foreignFormat(head: Uint8Array): ForeignFormat | undefined {
  return PROBES.find((probe) => probe.matches(head));
}

function startsWith(magic: readonly number[]): (head: Uint8Array) => boolean {
  return (head) => magic.every((byte, i) => head[i] === byte);
}

function asLatin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

// Lines of /proc/self/mountinfo, in which Linux tells what is mounted where.

/** One mount; empty texts where a line has fewer fields. */
export interface MountInfo {
  /** What of the file system is mounted: a path in it. */
  top: string;
  /** Where it is mounted: a path here. */
  point: string;
  /** Its type, as `ext4`. */
  type: string;
  /** Options of the file system itself, separated by commas. */
  options: string;
}

/** Reads the text of the file, a line for each mount. */
export function mountsIn(text: string): MountInfo[] {
  return text.split('\n').map((line) => {
    const [own = '', system = ''] = line.split(' - ');
    const [type = '', , options = ''] = system.split(' ');
    const [, , , top = '', point = ''] = own.split(' ').map(unescaped);
    return { top, point, type, options };
  });
}

// The kernel writes blanks and the like as three octal digits: `\040`.
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

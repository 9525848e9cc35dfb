// Hands a file to the person: the browser keeps it where it keeps downloads.

/** Saves it under that name. The address is given back once the browser has had time to begin. */
export function saveFile(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

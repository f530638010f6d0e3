/** Cuts known secrets out of a text. */

/** Secrets shorter than six characters would blot out ordinary words and are not looked for. */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  const known = secrets.filter((secret) => secret.length >= 6).sort((one, other) => other.length - one.length);
  return (text) => known.reduce((left, secret) => left.replaceAll(secret, "[secret]"), text);
}

/** login, logout, whoami. */
import type { Command } from "commander";
import { action, leaf } from "./action.ts";

export function registerAccount(program: Command): void {
  leaf(program.command("login"))
    .description("sign in to a server, and use it from now on")
    .option("--email <email>", "the account; asked for when missing")
    .option("--password-stdin", "read the password from standard input")
    .option("--register", "make the account first")
    .option("--name <name>", "your name, with --register")
    .action(action(async (context, _, options) => (await import("./login.ts")).runLogin(context, options)));
  leaf(program.command("logout"))
    .description("end the login and forget it")
    .action(action(async (context) => (await import("./login.ts")).runLogout(context)));
  leaf(program.command("whoami"))
    .description("the account that is signed in, and where")
    .action(action(async (context) => (await import("./login.ts")).runWhoami(context)));
}

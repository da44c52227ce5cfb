//! `atomlens completions SHELL`

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

/// Options of `atomlens completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell.
    shell: Shell,
}

/// Prints the shell's script.
pub(crate) fn run(arguments: &CompletionsArguments) {
    generate(arguments.shell, &mut crate::Arguments::command(), "atomlens", &mut std::io::stdout());
}

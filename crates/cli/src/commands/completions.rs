//! `atomlens completions SHELL`

use std::io::Write;

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
    let mut script = Vec::new();
    generate(arguments.shell, &mut crate::Arguments::command(), "atomlens", &mut script);
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().write_all(&script);
}

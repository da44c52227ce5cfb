//! The terminal: progress, answers, errors, Ctrl-C.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atomlens_workflow::{Context, Progress, WorkflowError};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// Options of every subcommand.
#[derive(Debug, Clone, Args)]
pub(crate) struct TerminalArguments {
    /// Threads to use; all by default. The results do not depend on it.
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Show no progress.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Answer in JSON: the summary on standard output, errors on standard error.
    #[arg(long, global = true)]
    json: bool,
}

/// Writes a line to standard error; where that is closed, nobody wants to know.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// How the program speaks with its user.
pub(crate) struct Terminal {
    json: bool,
    bar: Option<ProgressBar>,
    context: Context,
}

/// A progress bar with the time left; where nobody looks (a batch job's log), nothing.
struct Bar(ProgressBar);

impl Progress for Bar {
    fn begin(&self, total: u64, unit: &str) {
        self.0.set_length(total);
        self.0.set_message(unit.to_owned());
    }

    fn done(&self, steps: u64) {
        self.0.set_position(steps);
    }

    fn note(&self, message: &str) {
        self.0.suspend(|| say(message));
    }
}

impl Terminal {
    /// Prepares the terminal, the threads and the handler of Ctrl-C.
    pub(crate) fn new(arguments: &TerminalArguments) -> Result<Terminal, String> {
        let threads =
            arguments.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("compute-{number}"))
            .build_global()
            .map_err(|error| format!("the threads cannot be started: {error}"))?;
        let cancelled = Arc::new(AtomicBool::new(false));
        let flag = cancelled.clone();
        let silent = arguments.quiet || arguments.json;
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                // Asked twice: the user does not want to wait.
                std::process::exit(130);
            }
            if !silent {
                say("stopping after what is in work; Ctrl-C again to stop at once");
            }
        })
        .map_err(|error| format!("Ctrl-C cannot be watched: {error}"))?;
        let shown = !silent && std::io::stderr().is_terminal();
        let bar = shown.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = "{bar:40} {pos}/{len} {msg}, {elapsed} gone, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar
        });
        let context = match &bar {
            Some(bar) => Context { progress: Arc::new(Bar(bar.clone())), cancelled, threads },
            None => Context { cancelled, ..Context::silent(threads) },
        };
        Ok(Terminal { json: arguments.json, bar, context })
    }

    /// What jobs are given.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Prints a result: as text, or as JSON if asked for.
    pub(crate) fn answer(&self, text: &str, json: &impl Serialize) {
        self.clear();
        let line = if self.json { serde_json::to_string(json).unwrap_or_default() } else { text.to_owned() };
        // A closed pipe is the reader's choice.
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    /// Prints an error.
    pub(crate) fn fail(&self, error: &WorkflowError) {
        self.clear();
        if self.json {
            let json = serde_json::json!({"error": error.to_string(), "exit_code": error.exit_code()});
            say(&json.to_string());
        } else {
            say(&format!("error: {error}"));
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

//! The `atomlens` program: the command line in front of `atomlens-workflow`.
//!
//! Exit codes: 0 done; 1 a defect of the program; 2 a wrong command line; 3 an input that cannot be used; 4 an output
//! that cannot be written; 5 something that cannot be simulated as asked; 130 stopped by Ctrl-C.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the program is the one that prints")]

mod commands;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Simulates atomic-resolution transmission electron micrographs, with the truth of every atomic column.
#[derive(Debug, Parser)]
#[command(name = "atomlens", version, after_help = EXIT_CODES, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    terminal: terminal::TerminalArguments,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 a defect of the program, 2 wrong command line, 3 unusable input, \
4 output not written, 5 cannot be simulated as asked, 130 stopped by Ctrl-C (what is finished is valid).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make micrographs with their truth from a recipe.
    Simulate(commands::simulate::SimulateArguments),
    /// Compute the exit wave of a structure.
    ExitWave(commands::exit_wave::ExitWaveArguments),
    /// Image an exit wave.
    Image(Box<commands::image::ImageArguments>),
    /// Say what a file of a microscope holds.
    Info(commands::info::InfoArguments),
    /// Write what files of microscopes hold as TIFF, MRC, NPY or HSPY.
    Convert(commands::convert::ConvertArguments),
    /// Compare detected columns with the truth.
    Score(commands::score::ScoreArguments),
    /// Simulate a short movie, find its columns and write the report: what the program does, in one command.
    Demo(commands::demo::DemoArguments),
    /// Find the atomic columns in micrographs.
    Detect(commands::detect::DetectArguments),
    /// Find the exit wave, the focus and the lens from a focal series.
    Reconstruct(Box<commands::reconstruct::ReconstructArguments>),
    /// Estimate defocus and astigmatism from the rings in an image's power spectrum.
    Optics(commands::optics::OpticsArguments),
    /// Follow a movie: which sites are filled when, how often they switch, what moves.
    Track(commands::track::TrackArguments),
    /// Check a result of `track` by simulated movies like the one analysed.
    Twin(commands::twin::TwinArguments),
    /// Compare movies that `track` analysed: do sites switch more often under one condition?
    Compare(commands::compare::CompareArguments),
    /// Measure a model by dose, on fresh simulations.
    Benchmark(commands::benchmark::BenchmarkArguments),
    /// Train a network on simulated images.
    Train(commands::train::TrainArguments),
    /// List, show and check recipes.
    Recipe(commands::recipe::RecipeArguments),
    /// Print the completions of a shell.
    Completions(commands::completions::CompletionsArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = match terminal::Terminal::new(&arguments.terminal) {
        Ok(terminal) => terminal,
        Err(message) => {
            terminal::say(&format!("error: {message}"));
            return ExitCode::from(1);
        }
    };
    let result = match arguments.command {
        Command::Simulate(arguments) => commands::simulate::run(arguments, &terminal),
        Command::ExitWave(arguments) => commands::exit_wave::run(arguments, &terminal),
        Command::Image(arguments) => commands::image::run(*arguments, &terminal),
        Command::Info(arguments) => commands::info::run(arguments, &terminal),
        Command::Convert(arguments) => commands::convert::run(arguments, &terminal),
        Command::Score(arguments) => commands::score::run(arguments, &terminal),
        Command::Demo(arguments) => commands::demo::run(arguments, &terminal),
        Command::Detect(arguments) => commands::detect::run(arguments, &terminal),
        Command::Reconstruct(arguments) => commands::reconstruct::run(*arguments, &terminal),
        Command::Optics(arguments) => commands::optics::run(arguments, &terminal),
        Command::Track(arguments) => commands::track::run(arguments, &terminal),
        Command::Twin(arguments) => commands::twin::run(arguments, &terminal),
        Command::Compare(arguments) => commands::compare::run(arguments, &terminal),
        Command::Benchmark(arguments) => commands::benchmark::run(arguments, &terminal),
        Command::Train(arguments) => commands::train::run(arguments, &terminal),
        Command::Recipe(arguments) => commands::recipe::run(arguments, &terminal),
        Command::Completions(arguments) => {
            commands::completions::run(&arguments);
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.fail(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

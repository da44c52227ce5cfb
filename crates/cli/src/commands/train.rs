//! `atomlens train RECIPE.toml`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::train::{TrainOptions, TrainSettings, TrainingDevice, run as train};
use clap::{Args, ValueEnum};

use crate::terminal::Terminal;

/// Options of `atomlens train`.
#[derive(Debug, Args)]
pub(crate) struct TrainArguments {
    /// A training recipe's file, or the name of one that comes with the program: metal-particles, metal-movies, single-layers.
    recipe: String,
    /// Folder for the model; made if it does not exist.
    #[arg(long)]
    out: PathBuf,
    /// Go on with the training in the folder.
    #[arg(long)]
    resume: bool,
    /// Begin with a model instead of random weights: its name, or its folder. Its network must be the recipe's.
    #[arg(long)]
    from: Option<String>,
    /// Where it is computed.
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    device: Device,
    /// End after so many minutes, over all sessions of this training; the learning rate falls in time.
    #[arg(long)]
    minutes: Option<f64>,
    /// End after so many steps; what the recipe says by default.
    #[arg(long)]
    steps: Option<u64>,
    /// Seed of the network and of its images.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Device {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, in a program that was built for it.
    Cuda,
}

/// Runs `atomlens train`.
pub(crate) fn run(arguments: TrainArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let device = match arguments.device {
        Device::Cpu => TrainingDevice::Cpu,
        Device::Cuda => TrainingDevice::Cuda,
    };
    let settings = TrainSettings::resolve(TrainOptions {
        recipe: arguments.recipe,
        out: arguments.out,
        resume: arguments.resume,
        from: arguments.from,
        device,
        minutes: arguments.minutes,
        steps: arguments.steps,
        seed: arguments.seed,
    })?;
    let summary = train(&settings, terminal.context())?;
    let f1 = summary
        .last
        .as_ref()
        .and_then(|last| last.f1())
        .map_or(String::new(), |f1| format!(", F1 {f1:.3} on unseen images"));
    terminal.answer(&format!("model in {}: {} steps{f1}", summary.out.display(), summary.steps), &summary);
    Ok(())
}

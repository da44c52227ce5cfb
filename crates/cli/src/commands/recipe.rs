//! `atomlens recipe list|show|check`

use atomlens_workflow::WorkflowError;
use atomlens_workflow::recipes::{BUNDLED, RecipeSource};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::terminal::Terminal;

/// Options of `atomlens recipe`.
#[derive(Debug, Args)]
pub(crate) struct RecipeArguments {
    #[command(subcommand)]
    command: RecipeCommand,
}

#[derive(Debug, Subcommand)]
enum RecipeCommand {
    /// Name the recipes that come with the program.
    List,
    /// Print a recipe with its comments: a start for one of your own.
    Show {
        /// Name of a recipe that comes with the program, or a file.
        recipe: String,
        /// Print every knob with its value, those left out too.
        #[arg(long)]
        resolved: bool,
    },
    /// Read a recipe and draw one image's worth of it, without writing anything.
    Check {
        /// Name of a recipe that comes with the program, or a file.
        recipe: String,
    },
}

/// Runs `atomlens recipe`.
pub(crate) fn run(arguments: RecipeArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    match arguments.command {
        RecipeCommand::List => {
            let mut list = Vec::new();
            for bundled in BUNDLED {
                let recipe = RecipeSource::find(bundled.name)?.parse()?;
                list.push((bundled.name, recipe.description));
            }
            let text: Vec<String> = list.iter().map(|(name, description)| format!("{name:20} {description}")).collect();
            let json: Vec<_> =
                list.iter().map(|(name, description)| json!({"name": name, "description": description})).collect();
            terminal.answer(&text.join("\n"), &json);
        }
        RecipeCommand::Show { recipe, resolved } => {
            let source = RecipeSource::find(&recipe)?;
            let parsed = source.parse()?;
            let text = if resolved { parsed.to_toml() } else { source.text };
            terminal.answer(text.trim_end(), &parsed);
        }
        RecipeCommand::Check { recipe } => {
            let source = RecipeSource::find(&recipe)?;
            let parsed = source.parse()?;
            let (resources, _) = source.resources(&parsed)?;
            let name = parsed.name.clone();
            // Drawing is where knobs that do not go together are found.
            let simulator =
                atomlens_dataset::Simulator::new(parsed, resources, 0).map_err(|error| source.wrong(error))?;
            let exposable = simulator.expose_ready(0).map_err(|error| source.wrong(error))?;
            let atoms = exposable.specimen().structure.atoms.len();
            let columns = exposable.specimen().columns.len();
            terminal.answer(
                &format!("{name}: good; a specimen drawn from it has {atoms} atoms in {columns} columns"),
                &json!({"name": name, "good": true, "atoms": atoms, "columns": columns}),
            );
        }
    }
    Ok(())
}

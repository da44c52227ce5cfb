//! A training from its recipe to a model: resumed it is the same, and what it writes can be read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atomlens_dataset::training::Mixture;
use atomlens_network::Device;
use atomlens_workflow::train::{TrainSettings, TrainingRecipe, run};
use atomlens_workflow::{Context, WorkflowError};

const RECIPE: &str = r#"
    name = "small"
    description = "a test"
    mixture = "metal-particles"
    lattices = ["Au"]
    [network]
    kind = "ladder"
    channels = [8, 12]
    pairs = 1
    [schedule]
    steps = 6
    batch = 2
    field_px = 128
    learning_rate = 2e-3
    warm_up_steps = 1
    validate_every = 2
    validation_images = 2
"#;

fn settings(out: &Path) -> TrainSettings {
    TrainSettings {
        recipe: TrainingRecipe::parse("small", RECIPE).unwrap(),
        mixture: Mixture::bundled("metal-particles").unwrap(),
        seed: 5,
        out: out.to_owned(),
        resume: false,
        from: None,
        device: Device::Cpu,
        minutes: None,
    }
}

/// Ends the training after so many steps, as Ctrl-C does.
struct StopAfter(u64, Arc<AtomicBool>);

impl atomlens_workflow::Progress for StopAfter {
    fn begin(&self, _: u64, _: &str) {}
    fn done(&self, steps: u64) {
        if steps >= self.0 {
            self.1.store(true, Ordering::Relaxed);
        }
    }
    fn note(&self, _: &str) {}
}

fn stopped_after(settings: &TrainSettings, steps: u64) {
    let mut context = Context::silent(2);
    context.progress = Arc::new(StopAfter(steps, context.cancelled.clone()));
    match run(settings, &context) {
        Err(WorkflowError::Cancelled { done, .. }) => assert_eq!(done, steps),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_training_that_was_stopped_goes_on_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    stopped_after(&settings(&whole), 4);
    stopped_after(&settings(&parts), 1);
    let refused = run(&settings(&parts), &Context::silent(1)).unwrap_err();
    assert!(refused.to_string().contains("--resume"), "{refused}");
    assert_eq!(refused.exit_code(), 4);
    stopped_after(&TrainSettings { resume: true, ..settings(&parts) }, 4);
    let weights = |path: &Path| std::fs::read(path.join("weights.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&parts), "the weights differ");
    for name in ["checkpoint.safetensors", "curves.csv", "curves.json", "training.html", "settings.json"] {
        assert!(parts.join(name).is_file(), "{name}");
    }
}

#[test]
fn a_model_to_begin_with_must_have_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TrainSettings { from: Some("metal-particles".to_owned()), ..settings(&folder.path().join("out")) };
    let error = run(&settings, &Context::silent(1)).unwrap_err();
    assert!(error.to_string().contains("--from"), "{error}");
    assert_eq!(error.exit_code(), 2);
}

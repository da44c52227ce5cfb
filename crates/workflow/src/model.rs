//! Trained models: a network and what is known of it.

/// The file that holds a model's network.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

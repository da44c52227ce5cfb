//! The operations on an NVIDIA GPU: the framework's own.

use super::operations::Operations;

impl Operations for burn_cuda::Cuda {}

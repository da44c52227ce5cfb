//! The arithmetic of convolutional networks on a CPU: what training and inference spend their time in.
//!
//! Everything works on contiguous `f32` slices that the caller owns. Images are `[batch, y, x, channel]`, weights
//! `[ky, kx, channel_in, channel_out]`. A convolution here is what networks call by that name, a correlation,
//!
//! ```text
//! out[b, y, x, o] = bias[o] + sum over ky, kx, i of weight[ky, kx, i, o] input[b, y + (ky - r) d, x + (kx - r) d, i]
//! ```
//!
//! with `r = (kernel - 1) / 2`, the dilation `d`, and zero wherever the input is read outside the image: the size stays.
//!
//! # Method
//! With the channels innermost, the values under one row of a window lie side by side in memory, so a window is a few
//! long runs and a convolution is a product of matrices whose left side never needs to be written out. The product is
//! built from blocks that stay in registers (Goto and van de Geijn, ACM Trans. Math. Softw. 34 (2008) 12,
//! doi:10.1145/1356052.1356053): a few pixels by 8, 16 or 24 output channels, summed over the runs. The gradient to
//! the input is the same product with the weights turned round; the gradient to the weights is a product of the same
//! shape, summed over pixels.
//!
//! Results do not depend on the number of threads: how the work is divided follows from the shape alone, and partial
//! sums are added in a fixed order. They may differ in the last bits between processors with and without fused
//! multiply-add.

mod block;
mod channels;
mod convolution;
mod panel;
mod scale;
mod window;

#[cfg(test)]
mod tests;

pub use channels::{concatenate, split};
pub use convolution::{Activation, ConvolutionShape, backward_input, backward_weight, forward};
pub use scale::{
    average_pool2, average_pool2_backward, depth_to_space2, space_to_depth2, upsample2_nearest,
    upsample2_nearest_backward,
};

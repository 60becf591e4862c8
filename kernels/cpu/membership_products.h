#pragma once

#include <cstdint>

// The products of membership_gradients(), piece by piece, on the widest vectors of this processor.
// With `bf16`, factors are rounded to bfloat16 (nearest, ties to even) and summed in float.
namespace sbm::kernels::cpu {

/// Rows of a product that are worked on at once.
std::int64_t product_rows();

/// Floats that a packed square matrix takes.
std::int64_t packed_square_size(std::int64_t size);

/// Packs a square matrix, or its transpose, for multiply_in_place().
void pack_square(const float* matrix, std::int64_t size, bool transposed, bool bf16, float* panels);

/// rows [count, size] = rows times the packed square matrix, in place. `copy` has room for
/// product_rows() rows of packed_row_size(size) floats.
void multiply_in_place(float* rows, std::int64_t count, std::int64_t size, const float* panels,
                       bool bf16, float* copy);
std::int64_t packed_row_size(std::int64_t size);

/// A part of the gradient of a block matrix that has one owner.
struct GradientPiece {
  std::int64_t row_begin = 0;
  std::int64_t row_end = 0;
  std::int64_t first_column = 0;  ///< a multiple of gradient_columns(), as many as those
};
std::int64_t gradient_columns();

/// The piece of gradient [size, size] (+)= membership^T right, both [tokens, size]. `panels` has
/// room for gradient_panels_size(rows of the piece) floats.
void add_outer_products(const float* membership, const float* right, std::int64_t tokens,
                        std::int64_t size, const GradientPiece& piece, bool add, bool bf16,
                        float* gradient, float* panels);
std::int64_t gradient_panels_size(std::int64_t rows);

}  // namespace sbm::kernels::cpu

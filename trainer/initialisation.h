#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "distributed/flat_layout.h"
#include "trainer/config.pb.h"

namespace sbm::trainer {

/// Writes the initial values of one parameter, as the published code does:
///   Linear weights and biases    uniform in +-1/sqrt(fan_in), PyTorch's default of nn.Linear
///   token, position embeddings   normal, standard deviation model.embedding_std
///   norms                        weight 1, bias 0
///   cluster embeddings [h, k, d] normal, standard deviation sqrt(2 / (k d)): kaiming_normal_
/// Element i follows from the seed, the parameter's name and i alone (stream kInitialisation, whose
/// sample is the name's hash), so adding a parameter changes no other. Uniform values are exact;
/// normal ones are Box-Muller in double, so machines agree as far as their log and cos do.
/// Throws InternalError on a name that no rule covers.
void initialise(const distributed::ParameterSpec& spec, const Model& model, std::uint64_t seed,
                std::span<float> values);

}  // namespace sbm::trainer

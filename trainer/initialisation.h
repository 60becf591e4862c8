#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace sbm::trainer {

/// The law that a parameter's initial values are drawn from.
struct Initial {
  enum class Law {
    kConstant,  ///< `scale` everywhere
    kUniform,   ///< uniform in (-scale, scale)
    kNormal,    ///< normal with mean 0 and standard deviation `scale`
  };
  Law law = Law::kConstant;
  double scale = 0.0;
};

/// Writes the initial values of the parameter called `name`. Element i follows from the seed, the
/// name and i alone (stream kInitialisation, whose sample is the name's XXH3-64), so adding a
/// parameter changes no other. Uniform values are exact; normal ones are Box-Muller in double, so
/// machines agree as far as their log, sin and cos do.
void initialise(const std::string& name, const Initial& initial, std::uint64_t seed,
                std::span<float> values);

}  // namespace sbm::trainer

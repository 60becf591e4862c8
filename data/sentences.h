#pragma once

#include <functional>
#include <string_view>

namespace sbm::data {

/// Cuts a running text into sentences, roughly and the same way everywhere: after . ! or ? with the
/// quotes and brackets that close behind them, where a space or the end follows, and at the line
/// breaks "<br />" of film reviews, which are left out. Good enough to say where samples may be
/// cut; sentences without a visible character are left out.
void split_sentences(std::string_view text, const std::function<void(std::string_view)>& take);

}  // namespace sbm::data

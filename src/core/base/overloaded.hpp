// One visitor made of lambdas, for std::visit. Pure.
#pragma once

namespace godwit {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;  // clang 14 does not deduce aggregates by itself

}  // namespace godwit

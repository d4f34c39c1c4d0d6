// The effects of the table as the device carries them out: verification, downloads into the sandbox, acts of the
// installer. Each may come again after a cut at any instruction and ends the same way. Belongs to the worker thread.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/base/log.hpp"
#include "device/agent/consent.hpp"
#include "device/agent/installer_client.hpp"
#include "device/agent/payloads.hpp"
#include "device/agent/verify.hpp"
#include "device/agent/worker.hpp"

namespace godwit::agent {

struct EffectSettings {
  Path downloads;  // one sandbox per workflow
  VerifySettings verify;
  Duration installer_patience = std::chrono::minutes(2);
  Duration reboot_patience = std::chrono::minutes(10);  // from the accepted request to the end of the world
};

class DeviceEffects final : public EffectRunner {
 public:
  struct Ports {
    Installer& installer;
    Payloads& payloads;
    Consent& consent;
    Components& components;
    Pauses& pauses;
    const Clock& clock;
    Log& log;
  };
  DeviceEffects(EffectSettings settings, Ports ports) : settings_(std::move(settings)), ports_(ports) {}

  [[nodiscard]] EffectResult run(const EffectRequest& request, std::stop_token stop, const Progress& progress) override;

 private:
  struct Turn {  // one call of run()
    const Record& record;
    std::stop_token stop;
    const Progress& progress;
  };
  using Reply = Result<installer::ActOutcome>;

  [[nodiscard]] EffectResult verify(const Turn& turn);
  [[nodiscard]] EffectResult download(const Turn& turn);
  [[nodiscard]] EffectResult check_step(const Turn& turn);
  [[nodiscard]] EffectResult back_up(const Turn& turn);
  [[nodiscard]] EffectResult plain_act(const Turn& turn, installer::Verb verb, Event on_success);
  [[nodiscard]] EffectResult install(const Turn& turn);
  [[nodiscard]] EffectResult apply(const Turn& turn);
  [[nodiscard]] EffectResult restore(const Turn& turn);
  [[nodiscard]] EffectResult ask_consent(const Turn& turn, ConsentFor what);
  [[nodiscard]] EffectResult reboot(const Turn& turn);
  [[nodiscard]] EffectResult confirm(const Turn& turn);
  [[nodiscard]] EffectResult stop(const Turn& turn);
  [[nodiscard]] EffectResult tidy(const Turn& turn);

  [[nodiscard]] Reply ask(const Turn& turn, const installer::Request& request);
  struct FetchedPieces {
    installer::Pieces pieces;
    Path file;  // in the sandbox
  };
  [[nodiscard]] Reply act(const Turn& turn, std::uint32_t step, installer::Verb verb,
                          const FetchedPieces* fetched = nullptr);
  [[nodiscard]] Reply install_act(const Turn& turn);
  /// With the device's components, where the update refers to others.
  [[nodiscard]] Reply open(const Turn& turn, VerifiedGoal verified);
  [[nodiscard]] EffectResult lost_or_failed(const Turn& turn, const std::string& where, const Error& error) const;
  /// The codes of the result are soft ones.
  [[nodiscard]] EffectResult fetch_all(const Turn& turn, const std::vector<std::size_t>& steps);
  [[nodiscard]] EffectResult step_ended(const Turn& turn, const installer::ActOutcome& outcome,
                                        std::int32_t code) const;
  void remove_other_sandboxes(const std::string& kept) const;
  [[nodiscard]] Path sandbox(const Record& record) const;

  EffectSettings settings_;
  Ports ports_;
};

}  // namespace godwit::agent

// Programs as receivers: a real Alertmanager, and one in Python that checks our signature.

#include <nlohmann/json.hpp>
#include <string_view>

#include "../unit/alert_samples.hpp"
#include "netns.hpp"
#include "real_server.hpp"
#include "sender_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::SendResult;
using nlohmann::json;

namespace {

constexpr std::uint16_t alertmanager_port = 9093;
constexpr std::uint16_t checker_port = 8080;

class Alertmanager {
 public:
  Alertmanager()
      : inside_(network_),
        server_(
            "exec prometheus-alertmanager --config.file=config.yml --storage.path=data "
            "--web.listen-address=127.0.0.1:9093 --cluster.listen-address=",
            {alertmanager_port}) {
    server_.write("config.yml", "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n");
    server_.start();
  }

  RealServer& server() { return server_; }

  static io::ReceiverSpec receiver() {
    io::ReceiverSpec spec;
    spec.name = "am";
    spec.integration = "alertmanager";
    spec.kind = io::ReceiverKind::alertmanager;
    spec.url = io::Secret{"http://127.0.0.1:9093/"};
    return spec;
  }

  /// What goes on, as its own API says.
  static json alerts() {
    return json::parse(
        shell("python3 -c 'import urllib.request; print(urllib.request.urlopen("
              "\"http://127.0.0.1:9093/api/v2/alerts\").read().decode())'"));
  }

 private:
  Namespace network_;
  Namespace::Inside inside_;
  RealServer server_;
};

// What docs/alerts.md tells people to do.
constexpr std::string_view checker = R"(
import hashlib, hmac, http.server, json, time

class Checker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        secret = b"0123456789abcdef"
        fields = dict(part.split("=", 1) for part in self.headers["X-Sentinel-Signature"].split(","))
        wanted = hmac.new(secret, fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        good = hmac.compare_digest(wanted, fields["v1"]) and abs(time.time() - int(fields["t"])) < 300
        good = good and json.loads(body)["sentinel"]["key"] == self.headers["Idempotency-Key"]
        self.send_response(204 if good else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", 8080), Checker).serve_forever()
)";

}  // namespace

TEST_CASE("a real Alertmanager takes what begins, again, and what ends") {
  Alertmanager peer;
  SenderBed bed;
  bed.sender().configure({Alertmanager::receiver()});
  for (int i = 0; i < 2; ++i) {
    check(bed.end(bed.begin("am", sample_delivery())), SendResult::accepted, "");
    const auto alerts = Alertmanager::alerts();
    REQUIRE(alerts.size() == 1);
    CHECK(alerts[0]["labels"]["alertname"] == "SentinelServiceFailed");
    CHECK(alerts[0]["labels"]["service"] == "web");
    CHECK(alerts[0]["labels"]["subject"] == "service:shop/web/1");
    CHECK(alerts[0]["annotations"]["summary"] == "web unreachable: connection refused");
    CHECK(alerts[0]["annotations"]["incident"] == "01JNJ3Z7K8W9X0YABCDEFGHJKM");
    CHECK(alerts[0]["status"]["state"] == "active");
  }
  check(bed.end(bed.begin("am", sample_delivery(core::MessageKind::resolved))),
        SendResult::accepted, "");
  CHECK(Alertmanager::alerts().empty());

  core::Delivery trial;
  trial.message.kind = core::MessageKind::test;
  trial.message.made =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  check(bed.end(bed.begin("am", trial)), SendResult::accepted, "");
  CHECK(Alertmanager::alerts().size() == 1);
}

TEST_CASE("a real Alertmanager takes hostile content as text, and what a clock set back makes") {
  Alertmanager peer;
  SenderBed bed;
  bed.sender().configure({Alertmanager::receiver()});
  // All of these began at the end of time.
  for (const std::size_t times : {1U, 300U}) {
    check(bed.end(bed.begin("am", evil_delivery(times, 20))), SendResult::accepted, "");
    for (const auto& alert : Alertmanager::alerts())
      for (const auto& [name, value] : alert["labels"].items())
        CHECK(inert(value.get<std::string>(), false));
  }
}

TEST_CASE("an Alertmanager that is gone gets the alert when it is back") {
  Alertmanager peer;
  SenderBed bed;
  bed.sender().configure({Alertmanager::receiver()});
  peer.server().kill();
  check(bed.end(bed.begin("am", sample_delivery())), SendResult::retry, "failed to connect");
  peer.server().start();
  check(bed.end(bed.begin("am", sample_delivery())), SendResult::accepted, "");
  CHECK(Alertmanager::alerts().size() == 1);
}

TEST_CASE("a receiver in another language finds our signature good, and others not") {
  const Namespace network;
  const Namespace::Inside inside(network);
  RealServer server("exec python3 checker.py", {checker_port});
  server.write("checker.py", std::string{checker});
  server.start();
  SenderBed bed;
  auto spec = webhook(checker_port);
  spec.signing_key = io::Secret{"0123456789abcdef"};
  bed.sender().configure({spec});
  check(bed.end(bed.begin("hook", sample_delivery())), SendResult::accepted, "");
  check(bed.end(bed.begin("hook", evil_delivery(50, 20))), SendResult::accepted, "");
  spec.signing_key = io::Secret{"fedcba9876543210"};
  check(bed.send(spec), SendResult::permanent, "answered 401");
}

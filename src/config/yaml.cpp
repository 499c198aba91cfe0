#include "yaml.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <unordered_map>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "environment.hpp"

namespace nsboot_lb::config {

namespace {

/// Thrown through yaml-cpp after a problem behind which reading on makes no sense.
struct Abandon {};

struct Extent {
    std::size_t nodes = 1;
    std::size_t text_bytes = 0;
    std::size_t height = 1;
};

Extent extent_of(const Node& node) {
    Extent extent;
    extent.text_bytes = node.text.size();
    const auto add = [&](const Node& child) {
        const auto inner = extent_of(child);
        extent.nodes += inner.nodes;
        extent.text_bytes += inner.text_bytes;
        extent.height = std::max(extent.height, inner.height + 1);
    };
    for (const auto& item : node.items) add(item);
    for (const auto& entry : node.entries) {
        add(entry.value);
        extent.text_bytes += entry.key.size();
    }
    return extent;
}

class TreeBuilder final : public YAML::EventHandler {
  public:
    TreeBuilder(std::size_t file, Budget& budget, Problems& problems)
        : file_(file), budget_(budget), problems_(problems) {}

    Node take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (documents_++ > 0)
            abandon(to_mark(mark), "a second document begins here",
                    "a configuration is one document; remove the '---'");
    }
    void OnDocumentEnd() override {}
    void OnAnchor(const YAML::Mark&, const std::string&) override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        auto node = Node::null();
        node.mark = to_mark(mark);
        begin(node.mark, {});
        finish(std::move(node), anchor);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        check_tag(mark, tag);
        auto node = Node::of_text(value);
        node.mark = to_mark(mark);
        if (is_key()) {
            begin(node.mark, {1, value.size(), 1});
        } else {
            expand(node);
            begin(node.mark, {1, node.text.size(), 1});
        }
        finish(std::move(node), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto place = to_mark(mark);
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end()) abandon(place, "an alias stands inside of what it is an alias of", "");
        begin(place, found->second.extent);
        finish(found->second.node, 0);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, Node::sequence());
    }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, Node::map());
    }
    void OnSequenceEnd() override { close(); }
    void OnMapEnd() override { close(); }

  private:
    struct Frame {
        Node node;
        YAML::anchor_t anchor = 0;
        std::optional<std::pair<std::string, Mark>> key;  ///< read, while its value is not
        bool duplicate = false;                           ///< the key was there before
        std::unordered_map<std::string, Mark> keys;
    };
    struct Anchored {
        Node node;
        Extent extent;
    };

    Mark to_mark(const YAML::Mark& mark) const { return {file_, mark.line + 1, mark.column + 1}; }

    [[noreturn]] void abandon(const Mark& mark, std::string what, std::string hint) {
        problems_.error(mark, std::move(what), std::move(hint));
        throw Abandon{};
    }

    bool is_key() const { return !frames_.empty() && frames_.back().node.is_map() && !frames_.back().key; }

    void check_tag(const YAML::Mark& mark, const std::string& tag) {
        // "?" is an untagged plain value, "!" a quoted one.
        if (!tag.empty() && tag != "?" && tag != "!")
            problems_.error(to_mark(mark), "the tag '" + tag + "' is not supported", "remove it");
    }

    void begin(const Mark& mark, const Extent& extent) {
        budget_.nodes += extent.nodes;
        budget_.text_bytes += extent.text_bytes;
        if (budget_.nodes > max_nodes || budget_.text_bytes > max_text_bytes)
            abandon(mark, "the configuration is too large",
                    "at most " + std::to_string(max_nodes) + " values and " + std::to_string(max_text_bytes >> 20) +
                        " MiB of text, aliases written out");
        if (frames_.size() + extent.height > max_depth)
            abandon(mark, "the configuration is nested too deeply", "at most " + std::to_string(max_depth) + " levels");
    }

    void expand(Node& node) {
        if (!node.text.contains("${")) return;
        auto value = expand_environment(node.text, max_text_bytes);
        if (value)
            node.text = std::move(*value);
        else
            fail_expansion(node, value.error());
    }

    /// The node becomes absent, so that nobody complains of its value again.
    void fail_expansion(Node& node, const base::UnitError& error) {
        problems_.error(node.mark, error.what, error.hint);
        const auto mark = node.mark;
        node = {};
        node.mark = mark;
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node node) {
        check_tag(mark, tag);
        node.mark = to_mark(mark);
        if (is_key()) abandon(node.mark, "a key is a plain word, not " + std::string(describe(node.kind)), "");
        begin(node.mark, {});
        frames_.push_back(Frame{.node = std::move(node), .anchor = anchor, .key = {}, .duplicate = false, .keys = {}});
    }

    void close() {
        auto frame = std::move(frames_.back());
        frames_.pop_back();
        finish(std::move(frame.node), frame.anchor);
    }

    /// Puts a complete node where it belongs.
    void finish(Node node, YAML::anchor_t anchor) {
        if (anchor != 0) anchors_[anchor] = {node, extent_of(node)};
        if (frames_.empty()) {
            root_ = std::move(node);
            return;
        }
        auto& frame = frames_.back();
        if (frame.node.is_sequence()) {
            frame.node.items.push_back(std::move(node));
        } else if (!frame.key) {
            take_key(frame, node);
        } else {
            // yaml-cpp says of a value that is not there that it is where the next thing begins.
            if (node.kind == Node::Kind::null && node.mark.line > frame.key->second.line) node.mark = frame.key->second;
            if (!frame.duplicate)
                frame.node.entries.push_back({std::move(frame.key->first), frame.key->second, std::move(node)});
            frame.key.reset();
        }
    }

    void take_key(Frame& frame, const Node& node) {
        if (!node.is_scalar()) abandon(node.mark, "a key is a plain word, not " + std::string(describe(node.kind)), "");
        const auto [earlier, fresh] = frame.keys.emplace(node.text, node.mark);
        frame.duplicate = !fresh;
        frame.key.emplace(node.text, node.mark);
        if (!fresh)
            problems_.error(node.mark, "the key '" + node.text + "' is given twice",
                            "the first is in line " + std::to_string(earlier->second.line));
    }

    const std::size_t file_;
    Budget& budget_;
    Problems& problems_;
    int documents_ = 0;
    Node root_;
    std::vector<Frame> frames_;
    std::map<YAML::anchor_t, Anchored> anchors_;
};

std::string_view line_of(std::string_view text, int line) {
    for (; line > 0; --line) {
        const auto end = text.find('\n');
        if (end == std::string_view::npos) return {};
        text.remove_prefix(end + 1);
    }
    return text.substr(0, text.find('\n'));
}

/// What to write instead, for the syntax errors that people make most. `line` is the one with the error.
std::string syntax_hint(std::string_view message, std::string_view line) {
    const auto indentation = line.substr(0, line.find_first_not_of(" \t"));
    if (indentation.contains('\t')) return "indent with spaces, not with tabs";
    if (message.contains("flow not found") && line.contains("${"))
        return "inside of [] and {} put a value with ${...} into quotes";
    if (message.contains("illegal map value")) return "put a value that holds ': ' into quotes";
    if (message.contains("end of map not found")) return "the keys of a map must begin in one column";
    if (message.contains("end of sequence not found")) return "the '-' of a list must stand in one column";
    if (message.contains("unknown token")) return "put this value into quotes";
    if (message.contains("end of map flow not found")) return "a '{' lacks its '}'";
    if (message.contains("end of sequence flow not found")) return "a '[' lacks its ']'";
    if (message.contains("the referenced anchor is not defined")) return "put a value that begins with * into quotes";
    return {};
}

}  // namespace

Node parse_yaml(const std::string& text, std::size_t file, Budget& budget, Problems& problems) {
    if (text.size() > max_file_bytes) {
        problems.error({file, 1, 1}, "the file is too large",
                       "at most " + std::to_string(max_file_bytes >> 20) + " MiB");
        return {};
    }
    TreeBuilder builder(file, budget, problems);
    try {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {
        }
    } catch (const Abandon&) {
        return {};
    } catch (const YAML::Exception& error) {
        problems.error({file, error.mark.line + 1, error.mark.column + 1}, "this is no YAML: " + error.msg,
                       syntax_hint(error.msg, line_of(text, error.mark.line)));
        return {};
    }
    auto root = builder.take();
    if (root.kind == Node::Kind::absent || root.kind == Node::Kind::null) {
        root = Node::map();
        root.mark = {file, 1, 1};
    }
    return root;
}

}  // namespace nsboot_lb::config

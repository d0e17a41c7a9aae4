//! Words that are easy to read aloud and to tell apart.

/// One for each byte. They are part of what phones have learned, so none is ever changed.
#[rustfmt::skip]
pub(super) const WORDS: [&str; 256] = [
    "acorn", "alley", "amber", "anchor", "apple", "apron", "arrow", "atlas", "attic", "autumn", "bacon",
    "badge", "bagel", "ballet", "bamboo", "banana", "banjo", "barn", "basin", "basket", "beach", "beacon",
    "beaver", "beetle", "bench", "berry", "bike", "birch", "biscuit", "blanket", "blossom", "boat", "book",
    "boot", "bottle", "boulder", "bowl", "branch", "brass", "bread", "breeze", "brick", "bridge", "broom",
    "brush", "bucket", "bunny", "butter", "button", "cabin", "cactus", "cake", "camel", "candle", "canoe",
    "canyon", "carpet", "carrot", "castle", "cedar", "cello", "chalk", "cheese", "cherry", "chest",
    "circle", "circus", "citrus", "cliff", "cloud", "clover", "coast", "cobra", "cocoa", "coffee", "comet",
    "copper", "coral", "corner", "cotton", "couch", "crane", "crayon", "creek", "cricket", "crown",
    "crystal", "curtain", "daisy", "dance", "deer", "desert", "diamond", "dolphin", "donkey", "dragon",
    "drum", "duck", "eagle", "earth", "echo", "elephant", "engine", "falcon", "feather", "fern", "ferry",
    "fiddle", "field", "finger", "flag", "flame", "flower", "flute", "forest", "fossil", "fountain", "fox",
    "garden", "garlic", "gecko", "ginger", "giraffe", "glacier", "glove", "goat", "goose", "grape", "grass",
    "guitar", "hammer", "harbor", "harp", "harvest", "hazel", "hedge", "helmet", "heron", "hill", "hockey",
    "honey", "horse", "igloo", "island", "ivory", "jacket", "jaguar", "jelly", "jungle", "kayak", "kettle",
    "kitten", "koala", "ladder", "lagoon", "lake", "lamp", "lantern", "lava", "lemon", "leopard", "library",
    "lily", "lion", "lizard", "lobster", "lotus", "magnet", "mango", "maple", "marble", "market", "meadow",
    "melon", "mirror", "mitten", "moon", "moose", "mosaic", "mouse", "mustard", "napkin", "needle", "nest",
    "nickel", "noodle", "ocean", "olive", "onion", "opera", "orange", "orchid", "otter", "owl", "oyster",
    "paddle", "palace", "panda", "paper", "parrot", "peach", "peanut", "pebble", "pelican", "pencil",
    "pepper", "piano", "pillow", "pilot", "pine", "pirate", "planet", "plum", "pocket", "pond", "poppy",
    "potato", "prairie", "puffin", "pumpkin", "puzzle", "quartz", "rabbit", "radio", "rainbow", "raven",
    "ribbon", "river", "robin", "rocket", "saddle", "salmon", "sandal", "satin", "scarf", "shadow", "shell",
    "silver", "spider", "spoon", "squirrel", "stone", "sunset", "tiger", "tomato", "tulip", "turtle",
    "valley", "velvet", "violin", "walnut", "whale", "willow", "window", "winter", "zebra",
];

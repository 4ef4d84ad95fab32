"""Public models, as the `config.json` beside their weights describes them."""

from typing import Any

Config = dict[str, Any]


def _llama(
    hidden: int, layers: int, heads: int, ffn: int, vocab: int = 128_256, kv_heads: int = 8
) -> Config:
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": ffn,
        "vocab_size": vocab,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
    }


def _latent(**others: Any) -> Config:
    return {
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "tie_word_embeddings": False,
        "moe_layer_freq": 1,
        **others,
    }


CONFIGS: dict[str, Config] = {
    "llama3-8b": _llama(4096, 32, 32, 14_336),
    "llama3-70b": _llama(8192, 80, 64, 28_672),
    "llama3-405b": _llama(16_384, 126, 128, 53_248),
    "llama2-7b": _llama(4096, 32, 32, 11_008, vocab=32_000, kv_heads=32),
    "mistral-nemo": {
        **_llama(5120, 40, 32, 14_336, vocab=131_072),
        "model_type": "mistral",
        "head_dim": 128,
        "sliding_window": None,
    },
    "mixtral-8x7b": {
        **_llama(4096, 32, 32, 14_336, vocab=32_000),
        "model_type": "mixtral",
        "sliding_window": None,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
    },
    "qwen2.5-7b": {
        **_llama(3584, 28, 28, 18_944, vocab=152_064, kv_heads=4),
        "model_type": "qwen2",
        "max_position_embeddings": 131_072,
        "sliding_window": 131_072,
        "use_sliding_window": False,
    },
    "qwen2-57b-a14b": {
        **_llama(3584, 28, 28, 18_944, vocab=151_936, kv_heads=4),
        "model_type": "qwen2_moe",
        "num_experts": 64,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 2560,
        "shared_expert_intermediate_size": 20_480,
        "decoder_sparse_step": 1,
        "use_sliding_window": False,
    },
    "qwen3-0.6b": {
        **_llama(1024, 28, 16, 3072, vocab=151_936),
        "model_type": "qwen3",
        "head_dim": 128,
        "tie_word_embeddings": True,
    },
    "qwen3-30b-a3b": {
        **_llama(2048, 48, 32, 6144, vocab=151_936, kv_heads=4),
        "model_type": "qwen3_moe",
        "head_dim": 128,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 768,
        "mlp_only_layers": [],
        "decoder_sparse_step": 1,
    },
    "gemma-7b": {
        "model_type": "gemma",
        "hidden_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "head_dim": 256,
        "intermediate_size": 24_576,
        "vocab_size": 256_000,
    },
    "gpt2-xl": {
        "model_type": "gpt2",
        "n_layer": 48,
        "n_embd": 1600,
        "n_head": 25,
        "n_inner": None,
        "vocab_size": 50_257,
    },
    "gpt-neox-20b": {
        "model_type": "gpt_neox",
        "hidden_size": 6144,
        "num_hidden_layers": 44,
        "num_attention_heads": 64,
        "intermediate_size": 24_576,
        "vocab_size": 50_432,
        "tie_word_embeddings": False,
    },
    "opt-66b": {
        "model_type": "opt",
        "hidden_size": 9216,
        "num_hidden_layers": 64,
        "num_attention_heads": 72,
        "ffn_dim": 36_864,
        "vocab_size": 50_272,
        "word_embed_proj_dim": 9216,
    },
    "deepseek-v2": _latent(
        model_type="deepseek_v2",
        hidden_size=5120,
        num_hidden_layers=60,
        num_attention_heads=128,
        num_key_value_heads=128,
        intermediate_size=12_288,
        vocab_size=102_400,
        n_routed_experts=160,
        n_shared_experts=2,
        num_experts_per_tok=6,
        moe_intermediate_size=1536,
        first_k_dense_replace=1,
        q_lora_rank=1536,
    ),
    "deepseek-v2-lite": _latent(
        model_type="deepseek_v2",
        hidden_size=2048,
        num_hidden_layers=27,
        num_attention_heads=16,
        num_key_value_heads=16,
        intermediate_size=10_944,
        vocab_size=102_400,
        n_routed_experts=64,
        n_shared_experts=2,
        num_experts_per_tok=6,
        moe_intermediate_size=1408,
        first_k_dense_replace=1,
        q_lora_rank=None,
    ),
    "deepseek-v3": _latent(
        model_type="deepseek_v3",
        hidden_size=7168,
        num_hidden_layers=61,
        num_attention_heads=128,
        num_key_value_heads=128,
        intermediate_size=18_432,
        vocab_size=129_280,
        n_routed_experts=256,
        n_shared_experts=1,
        num_experts_per_tok=8,
        moe_intermediate_size=2048,
        first_k_dense_replace=3,
        q_lora_rank=1536,
        num_nextn_predict_layers=1,
    ),
}

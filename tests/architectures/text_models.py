"""Language models: what is built of each, and its default layers."""

from hooksim.capture.rows import Rows
from tests.architectures.architecture import ENDS, Architecture, numbered, pairs, text
from tests.capture.tiny_models import HALVES, T5

BOTH, RIGHT = ("left", "right"), ("right",)

WIDTHS = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 60,
    "max_position_embeddings": 64,
    **ENDS,
}
_GROUPED = {**WIDTHS, "num_key_value_heads": 1, "head_dim": 8}
_EXPERTS = {**_GROUPED, "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2}
_T5 = {**T5, "decoder_start_token_id": 0}
SEQUENCES = {
    **HALVES,
    "vocab_size": 60,
    "max_position_embeddings": 64,
    "decoder_start_token_id": 1,
    **ENDS,
}


def _encoder(make, padding, row="encoder.layer x2", **settings):
    return Architecture(make, text, numbered(row), {**WIDTHS, **settings}, padding=padding)


def _decoder(make, padding=BOTH, row="layers x2", grouped=_GROUPED, **settings):
    return Architecture(make, text, numbered(row), {**grouped, **settings}, padding=padding)


def _halves(make, settings, row="layers", padding=RIGHT):
    layers = numbered(f"encoder.{row} x2", f"decoder.{row} x2")
    return Architecture(make, pairs, layers, settings, padding=padding)


_SHARED = "encoder.albert_layer_groups.0.albert_layers.0"

ENCODERS = {
    "BERT": _encoder("BertModel", RIGHT),
    "BERT with its head": _encoder("BertForMaskedLM", RIGHT, "bert.encoder.layer x2"),
    "RoBERTa": _encoder("RobertaModel", BOTH),
    "XLM-RoBERTa": _encoder("XLMRobertaModel", BOTH),
    "DistilBERT": Architecture(
        "DistilBertModel",
        text,
        numbered("transformer.layer x2"),
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "vocab_size": 60},
        padding=RIGHT,
    ),
    "ALBERT": Architecture(
        "AlbertModel",
        text,
        [_SHARED],
        {**WIDTHS, "embedding_size": 8, "num_hidden_layers": 3},
        axis=[f"{_SHARED}#{firing}" for firing in range(3)],
        padding=RIGHT,
    ),
    "DeBERTa-v2": _encoder(
        "DebertaV2Model", BOTH, relative_attention=True, position_biased_input=False
    ),
    "ELECTRA": _encoder("ElectraModel", RIGHT, embedding_size=8),
    "MPNet": _encoder("MPNetModel", RIGHT),
    "ModernBERT": _encoder("ModernBertModel", BOTH, "layers x2"),
    "MobileBERT": _encoder(
        "MobileBertModel", RIGHT, embedding_size=8, true_hidden_size=8, intra_bottleneck_size=8
    ),
    "ESM": _encoder("EsmModel", BOTH, position_embedding_type="rotary"),
    "RoFormer": _encoder("RoFormerModel", BOTH, embedding_size=16),
    "ConvBERT": _encoder("ConvBertModel", (), embedding_size=16, head_ratio=1),
    "Longformer": _encoder("LongformerModel", BOTH, attention_window=4),
    "BigBird": _encoder("BigBirdModel", RIGHT, attention_type="original_full"),
    "Nystromformer": _encoder("NystromformerModel", ()),
    "XLNet": Architecture(
        "XLNetModel",
        text,
        numbered("layer x2"),
        {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32, "vocab_size": 60},
        padding=BOTH,
        rows=Rows(batch_dim=1),
    ),
    "XLM": Architecture(
        "XLMModel",
        text,
        numbered("attentions x2", "ffns x2"),
        {"emb_dim": 16, "n_layers": 2, "n_heads": 2, "vocab_size": 60},
        padding=RIGHT,
    ),
}

DECODERS = {
    "GPT-2": _decoder("GPT2Model", RIGHT, "h x2", WIDTHS),
    "GPT-2 with its head": _decoder("GPT2LMHeadModel", RIGHT, "transformer.h x2", WIDTHS),
    "GPT-Neo": _decoder(
        "GPTNeoModel", RIGHT, "h x2", WIDTHS, attention_types=[[["global", "local"], 1]]
    ),
    "GPT-NeoX": _decoder("GPTNeoXModel", grouped=WIDTHS),
    "GPT-J": _decoder("GPTJModel", BOTH, "h x2", WIDTHS, rotary_dim=4),
    "GPT-BigCode": _decoder("GPTBigCodeModel", RIGHT, "h x2", WIDTHS),
    "Llama": _decoder("LlamaModel"),
    "Llama with its head": _decoder("LlamaForCausalLM", row="model.layers x2"),
    "Mistral": _decoder("MistralModel", sliding_window=4),
    "Mixtral": _decoder("MixtralModel", grouped=_EXPERTS),
    "Qwen2": _decoder("Qwen2Model"),
    "Qwen2-MoE": _decoder(
        "Qwen2MoeModel",
        grouped=_EXPERTS,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
    ),
    "Qwen3": _decoder("Qwen3Model"),
    "Qwen3-MoE": _decoder("Qwen3MoeModel", grouped=_EXPERTS, moe_intermediate_size=16),
    "Qwen3-Next": _decoder(
        "Qwen3NextModel",
        BOTH,
        grouped=_EXPERTS,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
        linear_num_value_heads=2,
        linear_num_key_heads=2,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        layer_types=["linear_attention", "full_attention"],
    ),
    "Gemma": _decoder("GemmaModel"),
    "Gemma 2": _decoder("Gemma2Model"),
    "Gemma 3": _decoder("Gemma3TextModel"),
    "Phi": _decoder("PhiModel", grouped=WIDTHS),
    "Phi-3": _decoder("Phi3Model"),
    "Phi-MoE": _decoder("PhimoeModel", grouped=_EXPERTS),
    "OPT": _decoder(
        "OPTModel", BOTH, "decoder.layers x2", WIDTHS, ffn_dim=32, word_embed_proj_dim=16
    ),
    "Falcon": _decoder("FalconModel", row="h x2", grouped=WIDTHS),
    "BLOOM": _decoder("BloomModel", row="h x2", grouped=WIDTHS),
    "MPT": _decoder("MptModel", row="blocks x2", grouped=WIDTHS),
    "StableLM": _decoder("StableLmModel"),
    "Cohere": _decoder("CohereModel"),
    "OLMo 2": _decoder("Olmo2Model"),
    "OLMoE": _decoder("OlmoeModel", grouped=_EXPERTS),
    "Granite": _decoder("GraniteModel"),
    "StarCoder2": _decoder("Starcoder2Model"),
    "SmolLM3": _decoder("SmolLM3Model"),
    "GLM-4": _decoder("Glm4Model"),
    "GPT-OSS": _decoder("GptOssModel", grouped=_EXPERTS),
    "DeepSeek-V3": _decoder(
        "DeepseekV3Model",
        BOTH,
        grouped=WIDTHS,
        num_key_value_heads=2,
        num_experts_per_tok=2,
        n_routed_experts=4,
        n_group=1,
        topk_group=1,
        q_lora_rank=8,
        kv_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=8,
        moe_intermediate_size=16,
        first_k_dense_replace=1,
    ),
    "Mamba": _decoder("MambaModel", BOTH, grouped=WIDTHS, state_size=4),
    "Mamba-2": _decoder(
        "Mamba2Model",
        BOTH,
        grouped=WIDTHS,
        state_size=4,
        num_heads=4,
        head_dim=8,
        n_groups=1,
        chunk_size=4,
    ),
    "FalconMamba": _decoder("FalconMambaModel", BOTH, grouped=WIDTHS, state_size=4),
    "Jamba": _decoder(
        "JambaModel",
        BOTH,
        "layers x4",
        _EXPERTS,
        num_hidden_layers=4,
        attn_layer_period=4,
        attn_layer_offset=1,
        mamba_d_state=4,
        use_mamba_kernels=False,
    ),
    "RecurrentGemma": _decoder("RecurrentGemmaModel", RIGHT, "layers x3", num_hidden_layers=3),
    "RWKV": _decoder("RwkvModel", RIGHT, "blocks x2", WIDTHS, attention_hidden_size=16),
    "CTRL": _decoder("CTRLModel", RIGHT, "h x2", WIDTHS, dff=32),
    "CodeGen": _decoder("CodeGenModel", BOTH, "h x2", WIDTHS, rotary_dim=4, num_attention_heads=4),
}

HALVES = {
    "T5": _halves("T5Model", _T5, "block", BOTH),
    "mT5": _halves("MT5Model", _T5, "block", BOTH),
    "UMT5": _halves("UMT5Model", _T5, "block", BOTH),
    "LongT5": _halves("LongT5Model", {**_T5, "local_radius": 4}, "block", BOTH),
    "Switch Transformers": _halves(
        "SwitchTransformersModel", {**_T5, "num_decoder_layers": 2, "num_experts": 4}, "block", BOTH
    ),
    "BART": _halves("BartModel", SEQUENCES),
    "BART of one decoder layer": Architecture(
        "BartModel",
        pairs,
        numbered("encoder.layers x2", "decoder.layers x1"),
        {**SEQUENCES, "decoder_layers": 1},
        padding=RIGHT,
    ),
    "mBART": _halves("MBartModel", SEQUENCES),
    "Marian": _halves("MarianModel", SEQUENCES),
    "Pegasus": _halves("PegasusModel", SEQUENCES),
    "M2M-100": _halves("M2M100Model", SEQUENCES, padding=BOTH),
    "BlenderBot": _halves("BlenderbotModel", SEQUENCES),
    "LED": _halves(
        "LEDModel", {**SEQUENCES, "attention_window": 4, "max_encoder_position_embeddings": 64}
    ),
}

TEXT_MODELS = {**ENCODERS, **DECODERS, **HALVES}

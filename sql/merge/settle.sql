-- question: which raw image rows are kept, and which repeat an earlier one
-- one row: one raw image row with its outcome and, unless it is rejected, its keeper
-- parameter: $bits integer = 12  hash bits that clearly different pictures differ in
-- example: run by `xray-mining merge`
create temp table settled as
with
ordered as (
    select
        raw_images.rowid as raw_row,
        raw_images.image_key,
        raw_images.archive,
        raw_images.shard,
        raw_images.pixel_digest,
        raw_images.perceptual_hash,
        row_number() over (
            order by
                archive_order.archive_rank, raw_images.shard, raw_images.position,
                raw_images.frame, raw_images.file_key
        ) as place
    from raw_images
    inner join archive_order on raw_images.archive = archive_order.archive
),

-- the earliest row of an instance stands for it
by_instance as (
    select
        *,
        first_value(place) over earliest as first_place,
        first_value(pixel_digest) over earliest as first_digest,
        bit_count(
            cast(xor(perceptual_hash, first_value(perceptual_hash) over earliest) as bit)
        ) as differing_bits
    from ordered
    window earliest as (
        partition by image_key order by place
    )
),

by_pixels as (
    select
        image_key,
        place,
        first_value(image_key) over (
            partition by coalesce(pixel_digest, image_key) order by place
        ) as keeper_key
    from by_instance
    where place = first_place
)

select
    by_instance.raw_row,
    by_instance.place,
    by_instance.image_key,
    by_instance.archive,
    by_instance.shard,
    by_pixels.keeper_key,
    case
        when
            by_instance.place != by_instance.first_place
            and not coalesce(by_instance.pixel_digest = by_instance.first_digest, false)
            and by_instance.differing_bits > $bits
            then 'uid_reused'
        when by_instance.place != by_instance.first_place then 'same_instance'
        when by_pixels.keeper_key != by_pixels.image_key then 'same_pixels'
        else 'kept'
    end as outcome
from by_instance
inner join by_pixels on by_instance.image_key = by_pixels.image_key

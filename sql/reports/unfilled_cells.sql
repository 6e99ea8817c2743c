-- question: which cells of sex and year of age hold fewer members than requested
-- one row: one sentence about the years of one sex, or about all; small numbers are not shown
-- parameter: $per_cell integer = 100  patients of each sex and year of age
-- parameter: $youngest integer = 21  first year of age
-- parameter: $oldest integer = 70  last year of age
-- example: shown by `xray-mining cohort age_balanced`
with
years as (
    select unnest(range($youngest, $oldest + 1)) as age
),

cells as (
    select
        sexes.patient_sex,
        years.age
    from (values ('F'), ('M')) as sexes (patient_sex)
    cross join years
),

filled as (
    select
        cells.patient_sex,
        cells.age,
        count(chosen_members.image_key) as members
    from cells
    left join chosen_members
        on
            cells.patient_sex = chosen_members.patient_sex
            and cells.age = floor(chosen_members.age_years)
    group by cells.patient_sex, cells.age
),

short as (
    select
        patient_sex,
        age,
        members
    from filled
    where members < $per_cell
),

-- consecutive years of age with the same count
runs as (
    select
        patient_sex,
        words,
        min(age) as first_age,
        max(age) as last_age,
        count(*) as years
    from (
        select
            patient_sex,
            age,
            if(members < 10, 'under 10', members::varchar) as words,
            age - row_number() over (
                partition by patient_sex, if(members < 10, 'under 10', members::varchar)
                order by age
            ) as run
        from short
    ) as numbered
    group by patient_sex, words, run
),

described as (
    select
        patient_sex,
        count(*) as runs,
        sum(years) as years,
        sum(years) filter (where words = 'under 10') as few_years,
        min(first_age) as first_age,
        max(last_age) as last_age,
        string_agg(
            if(first_age = last_age, '', if(years = $oldest - $youngest + 1, 'all of ', ''))
            || first_age || if(first_age = last_age, '', ' to ' || last_age) || ': ' || words,
            '; ' order by first_age
        ) as listed
    from runs
    group by patient_sex
),

totals as (
    select
        (select count(*) from filled) as all_cells,
        count(*) as short_cells
    from short
)

select
    short_cells || ' of ' || all_cells || ' cells of sex and year hold fewer than '
    || $per_cell || ' patients.' as sentence
from totals
where short_cells > 0
union all
select
    case patient_sex when 'F' then 'Females' else 'Males' end || ', patients by year of age: '
    || if(
        runs <= 10,
        listed,
        years || ' years between ' || first_age || ' and ' || last_age || ' are short'
        || coalesce(', ' || few_years || ' of them under 10', '')
    )
    || '.' as sentence
from described
order by sentence
